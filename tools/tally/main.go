// Tally turns the output of `go test -json` on its standard input into a short
// report: one line a package, the output of what failed, why tests were skipped
// and, at the end, how many passed and failed.
//
//	go test -json ./... | tally [-again FOLDER] [-totals FILE]
//	tally -sum FILE
//
// With -again a few failed tests of the module in a folder are run once more, alone:
// they drive many processes on a machine that others use too. What passes then is
// counted as passed and named as flaky. With -totals the counts and these names are
// added to a file, whose sum -sum prints. The exit status is 1 when anything failed
// or nothing ran.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	ok, err := run(os.Args[1:], os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run reports whether everything passed.
func run(args []string, stdin io.Reader, stdout io.Writer) (bool, error) {
	flags := flag.NewFlagSet("tally", flag.ContinueOnError)
	totals := flags.String("totals", "", "add the counts to this `file`")
	again := flags.String("again", "", "run failed tests of the module in this `folder` once more")
	sum := flags.String("sum", "", "print the sum of this `file` and nothing else")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	if *sum != "" {
		return printSum(*sum, stdout)
	}
	report := newReport(stdout)
	if err := report.read(stdin); err != nil {
		return false, err
	}
	if *again != "" {
		if err := report.rerun(context.Background(), *again); err != nil {
			return false, err
		}
	}
	if err := appendTotals(*totals, report.sum(), report.remarks()); err != nil {
		return false, err
	}
	return report.finish(), nil
}

func printSum(file string, stdout io.Writer) (bool, error) {
	total, remarks, err := sumTotals(file)
	if err != nil {
		return false, err
	}
	for _, line := range remarks {
		fmt.Fprintln(stdout, line)
	}
	_, err = fmt.Fprintln(stdout, total)
	return total.good(), err
}
