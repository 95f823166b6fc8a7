// A compiler that compiles nothing: the kernels are in the fake driver. It
// checks that it is given a unit of the source that they were built from, for an
// architecture that the unit is for; its machine code says which kernels are in it.
// FAKE_CUDA_COMPILED names a file that gets the name of each.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <atomic>
#include <string>

#define API extern "C" __attribute__((visibility("default"))) int

// Unit is a text by its hash; names has its kernels between line feeds.
struct Unit { unsigned long long hash; const char *arch, *names; };
extern const Unit units[];

struct Program { std::string source, name, log, code; };
static std::atomic<int> made;

static bool told(const char *s) { const char *f = getenv("FAKE_CUDA"); return f && !strcmp(f, s); }
static bool fails(const std::string &name) {
	const char *f = getenv("FAKE_CUDA");
	return told("compile=1") || (f && name == std::string(strncmp(f, "compile=", 8) ? "" : f + 8) + ".cu");
}

API nvrtcVersion(int *major, int *minor) { *major = told("oldnvrtc") ? 10 : 12; *minor = 8; return 0; }
API nvrtcCreateProgram(void **p, const char *src, const char *name, int, const char **, const char **) {
	made++;
	*p = new Program{src, name, "", ""};
	return 0;
}
API nvrtcDestroyProgram(void **p) {
	delete (Program *)*p;
	*p = 0;
	made--;
	return 0;
}
API nvrtcCompileProgram(void *program, int n, const char **options) {
	Program &p = *(Program *)program;
	if (const char *path = getenv("FAKE_CUDA_COMPILED"))
		if (FILE *f = fopen(path, "a")) {
			fprintf(f, "%s\n", p.name.c_str());
			fclose(f);
			usleep(20000); // so that others may want the same meanwhile
		}
	p.log = p.name + "(3): warning: as compilers do\n" + p.name + "(7): error: as the fake was told\n1 error";
	if (fails(p.name)) return 6;
	unsigned long long h = 14695981039346656037ull;
	for (unsigned char c : p.source) h = (h ^ c) * 1099511628211ull;
	for (const Unit *u = units; u->names; u++)
		if (u->hash == h && n == 1 && options[0] == std::string("--gpu-architecture=") + u->arch) {
			p.log = "";
			p.code = std::string("fake cubin") + u->names;
			return 0;
		}
	p.log = p.name + "(1): error: not a unit of the kernels, or not for " + options[0];
	return 6;
}
API nvrtcGetProgramLogSize(void *p, size_t *n) { *n = ((Program *)p)->log.size() + 1; return 0; }
API nvrtcGetProgramLog(void *p, char *s) { strcpy(s, ((Program *)p)->log.c_str()); return 0; }
API nvrtcGetCUBINSize(void *p, size_t *n) { *n = ((Program *)p)->code.size() + 1; return 0; }
API nvrtcGetCUBIN(void *p, char *s) { strcpy(s, ((Program *)p)->code.c_str()); return 0; }
