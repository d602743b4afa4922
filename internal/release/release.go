// Package release holds the checks of a release that are not about what the code does.
// Its tests check the licences of everything that is compiled, and the schema of the
// properties (schema/). The tools that list and audit the modules have their own go.mod
// (tools.mod), so that they add nothing to the project's dependencies.
package release
