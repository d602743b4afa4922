package release_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// licences are those that what we compile may have. Each is known by sentences
// of its text that no other one has, whatever the line breaks.
var licences = []struct {
	name      string
	sentences []string
}{
	{"Apache-2.0", []string{"apache license version 2.0, january 2004", "grant of patent license. subject to the terms and conditions of this license"}},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files",
		"the above copyright notice and this permission notice shall be included in all copies or substantial portions of the software"}},
	// After MIT, whose every word but the condition it has.
	{"MIT-0", []string{"permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files",
		"to permit persons to whom the software is furnished to do so. the software is provided"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms, with or without modification, are permitted",
		"redistributions in binary form must reproduce the above copyright notice", "may be used to endorse or promote products derived from this software without specific prior written permission"}},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"}},
}

// others are licences that ask for more than we give. A file that has one of
// these words is judged by a person, whatever else it says.
var others = regexp.MustCompile(`gnu (affero |lesser |library )?general public license|mozilla public license|server side public license|business source license|commons clause|eclipse public license|creative commons|non-?commercial`)

var spaces = regexp.MustCompile(`[\s*/#]+`)

func licenceOf(text string) string {
	text = spaces.ReplaceAllString(strings.ToLower(text), " ")
	if others.MatchString(text) {
		return ""
	}
	for _, licence := range licences {
		all := true
		for _, sentence := range licence.sentences {
			all = all && strings.Contains(text, sentence)
		}
		if all {
			return licence.name
		}
	}
	return ""
}

// Every module of which anything is compiled, into the functions, the tests or
// the linters, has a licence that lets it be, in every file that says so.
func TestLicences(t *testing.T) {
	compiled := modules(t, "./...", "honnef.co/go/tools/cmd/staticcheck")
	for _, name := range []string{"github.com/aws/aws-sdk-go-v2/service/iam", "github.com/google/go-cmp", "honnef.co/go/tools"} {
		if compiled[name] == "" {
			t.Errorf("%s is not looked at: %v", name, compiled)
		}
	}
	for name, dir := range compiled {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		known := 0
		for _, entry := range entries {
			if !licenceFile.MatchString(entry.Name()) || pointsElsewhere[name+"/"+entry.Name()] {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if known++; licenceOf(string(text)) == "" {
				t.Errorf("%s: %s is none of the licences that we know to fit", name, entry.Name())
			}
		}
		if known == 0 {
			t.Errorf("%s has no licence", name)
		}
	}
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)`)

// pointsElsewhere are files that only say which of their neighbours counts.
var pointsElsewhere = map[string]bool{"github.com/aws/aws-lambda-go/LICENSE-SUMMARY": true}

// modules returns where the modules of these packages are, without our own.
func modules(t *testing.T, packages ...string) map[string]string {
	t.Helper()
	list := exec.Command("go", append([]string{"list", "-deps", "-test", "-json=Module"}, packages...)...)
	list.Dir = "../.."
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p struct {
			Module *struct {
				Path, Dir string
				Main      bool
			}
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && !p.Module.Main {
			found[p.Module.Path] = p.Module.Dir
		}
	}
	return found
}

func TestKnowingALicence(t *testing.T) {
	own, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	const mit = "Permission is hereby granted, free of charge, to any person obtaining a copy\n// of this software and associated documentation files (the \"Software\") …\nThe above copyright notice and this permission notice shall be included in\nall copies or substantial portions of the Software."
	for text, want := range map[string]string{
		string(own):                         "Apache-2.0",
		mit:                                 "MIT",
		mit + " GNU General Public License": "",
		"Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files, for non-commercial use": "",
		"All rights reserved.": "",
		"":                     "",
	} {
		if got := licenceOf(text); got != want {
			t.Errorf("%.60q…: %q, want %q", text, got, want)
		}
	}
}
