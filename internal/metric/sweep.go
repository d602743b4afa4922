package metric

import (
	"maps"
	"slices"
	"time"
)

// Swept is what one sweep found and did.
type Swept struct {
	Users       int // users that were read
	Failed      int // users that could not be read or handled
	Findings    int // open findings, reported before or not
	Deactivated int // keys
	Deleted     int // keys
	Under30     int // active keys that are less than 30 days old
	Under90     int // active keys that are 30 to 89 days old
	Over90      int // older active keys
}

const day = 24 * time.Hour

// Key counts an active key by its age.
func (s *Swept) Key(age time.Duration) {
	switch {
	case age < 30*day:
		s.Under30++
	case age < 90*day:
		s.Under90++
	default:
		s.Over90++
	}
}

// Sweep writes the line of one sweep.
func (s *Sink) Sweep(e Swept) {
	s.count(map[string]int{
		"Users": e.Users, "SweepFailures": e.Failed, "Findings": e.Findings, "Deactivated": e.Deactivated, "Deleted": e.Deleted,
		"KeysUnder30Days": e.Under30, "KeysUnder90Days": e.Under90, "KeysOver90Days": e.Over90,
	})
}

// Rotation writes the line of one rotation that ended: its new key is current, or it failed.
func (s *Sink) Rotation(failed bool) {
	if failed {
		s.count(map[string]int{"Rotations": 0, "RotationFailures": 1})
		return
	}
	s.count(map[string]int{"Rotations": 1, "RotationFailures": 0})
}

// count writes a line of counts.
func (s *Sink) count(counts map[string]int) {
	if s == nil {
		return
	}
	line := map[string]any{"FunctionName": s.Function}
	all := directive{Namespace: Namespace, Dimensions: [][]string{{"FunctionName"}}}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		line[name] = counts[name]
		all.Metrics = append(all.Metrics, definition{name, "Count"})
	}
	s.write(line, all)
}
