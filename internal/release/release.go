// Package release holds what a release is judged by, beside what the code does:
// the licences of all that is compiled, here in its tests; the tools that list
// and audit it, in a go.mod of their own (tools.mod), so that nothing of theirs
// is among the project's dependencies.
package release
