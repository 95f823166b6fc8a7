package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/v2v/v2v/models/train"
)

// app is what every command needs: where to print, and the log.
type app struct {
	out, err io.Writer
	tty      bool // stderr is a terminal, so that bars may be drawn on it
	level    slog.LevelVar
	log      *slog.Logger
	json     bool
}

func newApp(stdout, stderr io.Writer) *app {
	a := &app{out: stdout, err: stderr}
	if f, ok := stderr.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		a.tty = term.IsTerminal(int(f.Fd()))
	}
	a.level.Set(slog.LevelWarn)
	a.log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: &a.level}))
	return a
}

// say prints a line for people on stderr.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// event prints one JSON object as a line on stdout.
func (a *app) event(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// complain prints the one line that says what went wrong.
func (a *app) complain(err error, code int) {
	var c *coded
	switch {
	case err == nil:
	case code == exitInterrupt || code == exitTerm:
		a.say("v2v: interrupted; nothing half done stands")
	case errors.As(err, &c) && c.silent:
	default:
		a.say("v2v: %s", oneLine(err))
	}
}

// oneLine keeps an error on one line, whatever is in the names of files, but
// for lists of problems, which have a line for each.
func oneLine(err error) string {
	text := strings.TrimSpace(err.Error())
	if isList(err) {
		return text
	}
	return strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(text)
}

const usageTemplate = `{{if .HasExample}}Examples:
{{.Example}}

{{end}}Usage:
  {{if .Runnable}}{{.UseLine}}{{else}}{{.CommandPath}} COMMAND{{end}}
{{if .HasAvailableSubCommands}}
Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Everywhere:
{{.InheritedFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}
{{end}}`

func newRoot(a *app) *cobra.Command {
	var verbose int
	root := &cobra.Command{
		Use:   "v2v",
		Short: "Turn pose, segmentation or edge videos into realistic video",
		Long: `v2v turns edge, mask, gray or segmentation videos into realistic video with
temporally conditioned networks, and trains them on paired clips.`,
		Example: `  v2v prepare --extract edges walk.mp4 -o data --size 144x192
  v2v train --data data --out run --steps 2000
  v2v convert --model run/model.safetensors edges.mp4 -o out.mp4`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := fromEnvironment(c.Flags()); err != nil {
				return err
			}
			a.level.Set(slog.LevelWarn - slog.Level(4*min(verbose, 2)))
			return nil
		},
	}
	root.PersistentFlags().CountVarP(&verbose, "verbose", "v", "say more; twice for everything")
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w; see %s --help", err, c.CommandPath())
	})
	root.AddCommand(commands(a)...)
	for _, c := range root.Commands() {
		c.Args = asUsage(c.Args)
	}
	root.Args = asUsage(root.Args)
	return root
}

func commands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newPrepare(a), newTrain(a), newConvert(a), newBatch(a), newEval(a), newFlow(a), newSample(a), newCompare(a), newPlot(a),
		newImport(a), newExport(a), newInfo(a), newDevices(a), newBench(a), newVersion(a),
	}
}

// asUsage gives the errors of argument checks their exit code.
func asUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(c, args); err != nil {
			return usage("%w; see %s --help", err, c.CommandPath())
		}
		return nil
	}
}

// fromEnvironment sets every flag that the command line leaves open from
// V2V_ and its name in capitals, as in V2V_DEVICE or V2V_ON_DAMAGE.
func fromEnvironment(flags *pflag.FlagSet) error {
	var first error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "V2V_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := os.Getenv(name)
		if f.Changed || value == "" || f.Name == "help" || first != nil {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			first = usage("environment variable %s: %w", name, err)
		}
	})
	return first
}

// jsonFlag adds --json.
func (a *app) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&a.json, "json", false, "print one JSON object per event on stdout")
}

// isList reports whether an error is a list of problems.
func isList(err error) bool {
	var mine *listError
	var data *train.DataError
	return errors.As(err, &mine) || errors.As(err, &data)
}
