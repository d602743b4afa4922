//go:build !race

package faults_test

const oneIn = 1
