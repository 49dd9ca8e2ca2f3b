package policy

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// Ports is a set of ports: ranges in ascending order with gaps between them. The nil value is empty.
type Ports []PortRange

// AllPorts is every port, 0 included.
func AllPorts() Ports { return Ports{{0, math.MaxUint16}} }

// Has reports whether a port is in the set.
func (p Ports) Has(port uint16) bool {
	return slices.ContainsFunc(p, func(r PortRange) bool { return r.First <= port && port <= r.Last })
}

// Count is the number of ports in the set.
func (p Ports) Count() int {
	count := 0
	for _, r := range p {
		count += int(r.Last) - int(r.First) + 1
	}
	return count
}

// All gives the ports in ascending order.
func (p Ports) All(yield func(uint16) bool) {
	for _, r := range p {
		for port := int(r.First); port <= int(r.Last); port++ {
			if !yield(uint16(port)) {
				return
			}
		}
	}
}

// Union is the set of the ports that are in one of the sets.
func (p Ports) Union(q Ports) Ports {
	ranges := slices.Concat(p, q)
	slices.SortFunc(ranges, func(a, b PortRange) int { return cmp.Compare(a.First, b.First) })
	var union Ports
	for _, r := range ranges {
		if last := len(union) - 1; last >= 0 && int(r.First) <= int(union[last].Last)+1 {
			union[last].Last = max(union[last].Last, r.Last)
		} else {
			union = append(union, r)
		}
	}
	return union
}

// Minus is the set without the ports of another one.
func (p Ports) Minus(q Ports) Ports {
	rest := slices.Clone(p)
	for _, hole := range q {
		var cut Ports
		for _, r := range rest {
			if r.First < hole.First {
				cut = append(cut, PortRange{r.First, min(r.Last, hole.First-1)})
			}
			if r.Last > hole.Last {
				cut = append(cut, PortRange{max(r.First, hole.Last+1), r.Last})
			}
		}
		rest = cut
	}
	return rest
}

// ParsePorts reads ports, ranges and comma lists of them ("80", "8000-8010", "80,443"), or "*" for any. The error has
// no Field.
func ParsePorts(text string) (Ports, *Error) {
	if text == "*" {
		return AllPorts(), nil
	}
	var ports Ports
	for item := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(item, "-")
		if !isRange {
			last = first
		}
		from, err := parsePort(text, first)
		if err != nil {
			return nil, err
		}
		to, err := parsePort(text, last)
		if err != nil {
			return nil, err
		}
		if from > to {
			return nil, &Error{Value: text, Problem: "has a range of ports that ends before it begins", Hint: "write " + quote(last+"-"+first)}
		}
		ports = ports.Union(Ports{{from, to}})
	}
	return ports, nil
}

func parsePort(text, port string) (uint16, *Error) {
	fault := &Error{Value: text, Hint: "ports are numbers up to 65535, as in \"80\", \"8000-8010\" or \"80,443\", or \"*\" for any"}
	digits := port != "" && strings.Trim(port, "0123456789") == ""
	number, err := strconv.ParseUint(port, 10, 16)
	switch {
	case port == "":
		fault.Problem = "has an empty port"
	case port == "*":
		fault.Problem = "has a * among other ports"
		fault.Hint = `write "*" alone for any port`
	case !digits && strings.TrimSpace(port) != port:
		fault.Problem = "has a space in its ports"
		fault.Hint = "take the space out"
	case !digits:
		fault.Problem = "has " + quote(port) + " where a port is expected"
	case err != nil:
		fault.Problem = "has the port " + quote(port) + ", which is above 65535"
	default:
		return uint16(number), nil
	}
	return 0, fault
}
