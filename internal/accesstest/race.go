//go:build race

package accesstest

// OneIn says that one case in n is enough. The race detector makes each case about ten
// times slower, and a sample shows it everything that runs at the same time. make units and
// make faults play all cases without it.
func OneIn(n int) int { return n }
