// What Alertmanager makes of a configuration at an instant, with Alertmanager's own code: which time intervals contain it, and where
// an alert goes then. Reads one question a line, {"at": RFC 3339, "labels": {...}}, and answers each with a line.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/common/model"
)

type question struct {
	At     time.Time      `json:"at"`
	Labels model.LabelSet `json:"labels"`
}

type answer struct {
	Intervals []string `json:"intervals"`
	Receiver  string   `json:"receiver"`
	GroupBy   []string `json:"group_by"`
	Muted     bool     `json:"muted"`
	Wait      string   `json:"wait"`
	Interval  string   `json:"interval"`
	Repeat    string   `json:"repeat"`
}

func main() {
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file string, in io.Reader, out io.Writer) error {
	conf, err := config.LoadFile(file)
	if err != nil {
		return err
	}
	root := dispatch.NewRoute(conf.Route, nil)
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var asked question
		if err := questions.Decode(&asked); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		routes := root.Match(asked.Labels)
		if len(routes) != 1 {
			return fmt.Errorf("%v matches %d routes", asked.Labels, len(routes))
		}
		if err := answers.Encode(about(conf, asked.At, routes[0].RouteOpts)); err != nil {
			return err
		}
	}
}

func about(conf *config.Config, at time.Time, route dispatch.RouteOpts) answer {
	result := answer{
		Intervals: []string{},
		Receiver:  route.Receiver,
		GroupBy:   []string{},
		Wait:      route.GroupWait.String(),
		Interval:  route.GroupInterval.String(),
		Repeat:    route.RepeatInterval.String(),
	}
	for name := range route.GroupBy {
		result.GroupBy = append(result.GroupBy, string(name))
	}
	sort.Strings(result.GroupBy)
	for _, named := range conf.TimeIntervals {
		for _, interval := range named.TimeIntervals {
			// As Alertmanager asks: in UTC.
			if interval.ContainsTime(at.UTC()) {
				result.Intervals = append(result.Intervals, named.Name)
				break
			}
		}
	}
	for _, name := range result.Intervals {
		for _, mute := range route.MuteTimeIntervals {
			result.Muted = result.Muted || mute == name
		}
	}
	return result
}
