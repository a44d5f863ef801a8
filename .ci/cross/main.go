// Command cross checks that slapd compiles for each system and processor given
// as SYSTEM/PROCESSOR. It checks types and generates no code, so it takes
// seconds and no cache; "make cross" builds the programs.
//
//	go run -modfile=.ci/tools.mod ./.ci/cross darwin/arm64 windows/amd64
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	here, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	failed := false
	for _, target := range os.Args[1:] {
		system, processor, _ := strings.Cut(target, "/")
		for _, fault := range check(here, system, processor) {
			failed = true
			fmt.Fprintln(os.Stderr, target+":", fault)
		}
	}
	if failed {
		os.Exit(1)
	}
}

// check returns what is wrong with the packages below a folder.
func check(here, system, processor string) (faults []string) {
	ours := func(name string) bool { return strings.HasPrefix(name, here+string(filepath.Separator)) }
	all, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
			packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedTypesSizes,
		Env: append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0"),
		// Of what is not ours, the declarations are enough.
		ParseFile: func(files *token.FileSet, name string, source []byte) (*ast.File, error) {
			f, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
			if f != nil && !ours(name) {
				for _, d := range f.Decls {
					if f, ok := d.(*ast.FuncDecl); ok {
						f.Body = nil
					}
				}
			}
			return f, err
		},
	}, "./...")
	if err != nil {
		return []string{err.Error()}
	}
	packages.Visit(all, nil, func(p *packages.Package) {
		for _, e := range p.Errors {
			if file, _, ok := strings.Cut(e.Pos, ":"); !ok || ours(file) { // theirs lack their bodies
				faults = append(faults, e.Error())
			}
		}
	})
	return faults
}
