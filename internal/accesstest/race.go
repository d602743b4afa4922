//go:build race

package accesstest

// OneIn says that one case in n is enough. The race detector makes each some ten
// times slower, and a sample of them shows it whatever runs at the same time;
// make units and make faults play all of them without it.
func OneIn(n int) int { return n }
