// Command hcl reads a Terraform configuration from standard input, by HashiCorp's own
// parser, and prints the template of its one aws_cloudformation_stack. It fails where
// `terraform fmt` would change something, where the stack has an argument that is not
// listed here, and where an output names another stack.
//
// Variables are given as arguments, NAME=VALUE, each a list with commas.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// configuration is what the page may show.
type configuration struct {
	Variables []struct {
		Name string         `hcl:"name,label"`
		Type hcl.Expression `hcl:"type"`
	} `hcl:"variable,block"`
	Resources []struct {
		Type string `hcl:"type,label"`
		Name string `hcl:"name,label"`
		// Of the arguments of aws_cloudformation_stack those that the page uses.
		Stack        string `hcl:"name"`
		TemplateBody string `hcl:"template_body"`
	} `hcl:"resource,block"`
	Outputs []struct {
		Name  string         `hcl:"name,label"`
		Value hcl.Expression `hcl:"value"`
	} `hcl:"output,block"`
}

func main() {
	if err := run(os.Stdin, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, variables []string) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	if !bytes.Equal(text, hclwrite.Format(text)) {
		return errors.New("terraform fmt would change it")
	}
	file, problems := hclsyntax.ParseConfig(text, "page.tf", hcl.InitialPos)
	if problems.HasErrors() {
		return problems
	}
	given := map[string]cty.Value{}
	for _, variable := range variables {
		name, list, _ := strings.Cut(variable, "=")
		var values []cty.Value
		for _, value := range strings.Split(list, ",") {
			values = append(values, cty.StringVal(value))
		}
		given[name] = cty.ListVal(values)
	}
	scope := &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": cty.ObjectVal(given)},
		Functions: map[string]function.Function{"jsonencode": stdlib.JSONEncodeFunc},
	}
	var c configuration
	if problems := gohcl.DecodeBody(file.Body, scope, &c); problems.HasErrors() {
		return problems
	}
	if len(c.Resources) != 1 || c.Resources[0].Type != "aws_cloudformation_stack" {
		return errors.New("it does not declare one aws_cloudformation_stack")
	}
	stack := c.Resources[0]
	for _, output := range c.Outputs {
		for _, reference := range output.Value.Variables() {
			if got, want := dotted(reference), stack.Type+"."+stack.Name+".outputs"; got != want {
				return fmt.Errorf("output %s refers to %s, and not to %s", output.Name, got, want)
			}
		}
	}
	_, err = io.WriteString(out, stack.TemplateBody)
	return err
}

// dotted is a reference without what is in brackets.
func dotted(reference hcl.Traversal) string {
	names := []string{reference.RootName()}
	for _, step := range reference[1:] {
		if attribute, ok := step.(hcl.TraverseAttr); ok {
			names = append(names, attribute.Name)
		}
	}
	return strings.Join(names, ".")
}
