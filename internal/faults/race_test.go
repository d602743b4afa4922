//go:build race

package faults_test

// The race detector makes every case some ten times slower: a sample of them
// shows it all the interleavings there are. make test runs all cases without.
const oneIn = 101
