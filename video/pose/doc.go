// Package pose draws what detectors of bodies and faces have written down: the
// keypoints of OpenPose, and the 68 landmarks of dlib.
//
// Files come in as bytes or paths and become plain Go values. Draw puts people
// onto a frame that is the caller's; FaceMaps makes the planes that a network
// of faces is driven by. Points are in pixels of the picture that the detector
// saw, the centre of the top left pixel at (0,0); Scale takes them to a
// picture of another size, so that strokes are drawn at the size they are
// needed in, never resized. Pure Go, no state but a Follower's.
package pose
