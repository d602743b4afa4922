// Package pages reads the pages of this repository: their blocks of code, and the
// commands in them with the output that the page shows. A page is the fixture of the
// tests that run it. Tests alone use this package.
package pages

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Block is a fenced block of code.
type Block struct {
	Page     string // the file
	Line     int    // of the opening fence
	Section  string // the heading above it
	Language string // behind the opening fence; empty: none
	Text     string // without the indentation of the fence
}

// Command is a line of a console block that begins with "$ ", together with the
// indented lines that follow it.
type Command struct {
	Block
	Text   string
	Prints string // as the page shows it: see Printed
}

var (
	fence   = regexp.MustCompile("^( *)```(.*)$")
	heading = regexp.MustCompile(`^#+ +(.*?)\s*$`)
)

// Blocks returns the blocks of a page, in its order.
func Blocks(file string) ([]Block, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var blocks []Block
	var open *Block
	var indentation, section string
	for i, line := range strings.Split(string(text), "\n") {
		found := fence.FindStringSubmatch(line)
		switch {
		case open == nil && found != nil:
			indentation = found[1]
			open = &Block{Page: file, Line: i + 1, Section: section, Language: found[2]}
		case found != nil:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.Text += strings.TrimPrefix(line, indentation) + "\n"
		default:
			if found := heading.FindStringSubmatch(line); found != nil {
				section = found[1]
			}
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s:%d: the block is not closed", file, open.Line)
	}
	return blocks, nil
}

// Section is a heading of a page, and the commands between it and the next one.
type Section struct {
	Title    string
	Commands []Command
}

// Sections returns the sections of a page that have commands, in its order.
func Sections(file string) (sections []Section, err error) {
	commands, err := Commands(file)
	for _, c := range commands {
		if last := len(sections) - 1; last < 0 || sections[last].Title != c.Section {
			sections = append(sections, Section{Title: c.Section})
		}
		last := &sections[len(sections)-1]
		last.Commands = append(last.Commands, c)
	}
	return sections, err
}

// Commands returns the commands of a page, in its order.
func Commands(file string) (commands []Command, err error) {
	blocks, err := Blocks(file)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		if b.Language != "console" {
			continue
		}
		more, err := b.commands()
		if err != nil {
			return nil, err
		}
		commands = append(commands, more...)
	}
	return commands, nil
}

func (b Block) commands() (commands []Command, err error) {
	for line := range strings.Lines(b.Text) {
		last := len(commands) - 1
		switch {
		case strings.HasPrefix(line, "$ "):
			commands = append(commands, Command{Block: b, Text: line[2:]})
		case last < 0:
			return nil, fmt.Errorf("%s:%d: the block shows an output without a command: %s", b.Page, b.Line, line)
		case commands[last].Prints == "" && strings.HasPrefix(line, "  "):
			commands[last].Text += line
		default:
			commands[last].Prints += line
		}
	}
	return commands, nil
}

var exported = regexp.MustCompile(`\b([A-Z_]+)=("[^"]*"|\S+)`)

// With returns the command with our values in the place of the page's, where it
// exports variables.
func (c Command) With(values map[string]string) string {
	if !strings.HasPrefix(c.Text, "export ") {
		return c.Text
	}
	return exported.ReplaceAllStringFunc(c.Text, func(set string) string {
		name, _, _ := strings.Cut(set, "=")
		if value, ours := values[name]; ours {
			return fmt.Sprintf("%s=%q", name, value)
		}
		return set
	})
}

var account = regexp.MustCompile(`\d{12}`)

// Printed compares an output with the one that the page shows: "…" is any text in a
// line, a line "..." any lines, the id of an account any account's, and white space
// any white space.
func (c Command) Printed(output string) bool {
	var pattern strings.Builder
	for line := range strings.Lines(c.Prints) {
		if strings.TrimSpace(line) == "..." {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		parts := strings.Split(strings.Join(strings.Fields(line), " "), "…")
		for i, part := range parts {
			parts[i] = strings.ReplaceAll(account.ReplaceAllString(regexp.QuoteMeta(part), `\d{12}`), " ", `\s+`)
		}
		pattern.WriteString(`\s*?` + strings.Join(parts, `.*`) + `\s*?\n`)
	}
	if output != "" && !strings.HasSuffix(output, "\n") {
		output += "\n"
	}
	return regexp.MustCompile(`^` + pattern.String() + `$`).MatchString(output)
}
