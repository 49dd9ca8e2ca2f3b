package hosts

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sandlock/pkg/policy"
)

// patience bounds how long all names may take.
const patience = 10 * time.Second

// A Resolver finds the addresses of a name; a *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Addresses has the addresses of names, in ascending order; IPv4 ones never in their IPv6 form.
type Addresses map[string][]netip.Addr

// Resolve resolves the names in rules, all at once. A name that cannot be resolved is a *policy.Error. Without names the
// result is nil.
func Resolve(rules []policy.NetRule) (Addresses, error) {
	return resolve(rules, &net.Resolver{PreferGo: true})
}

func resolve(rules []policy.NetRule, with Resolver) (Addresses, error) {
	names := make(map[string]bool)
	for _, rule := range rules {
		if rule.Host != "" {
			names[rule.Host] = true
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var (
		mu     sync.Mutex
		all    sync.WaitGroup
		found  = make(Addresses)
		failed = make(map[string]error)
	)
	for name := range names {
		all.Go(func() {
			addresses, err := with.LookupNetIP(ctx, "ip", name)
			mu.Lock()
			defer mu.Unlock()
			for i := range addresses {
				addresses[i] = addresses[i].Unmap().WithZone("")
			}
			slices.SortFunc(addresses, netip.Addr.Compare)
			if addresses = slices.Compact(addresses); len(addresses) == 0 {
				failed[name] = err
			}
			found[name] = addresses
		})
	}
	all.Wait()
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		return nil, unresolved(name, failed[name])
	}
	return found, nil
}

func unresolved(name string, err error) *policy.Error {
	problem := "has no address"
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
	case errors.As(err, &dns):
		problem = "cannot be resolved: " + dns.Err
	case err != nil:
		problem = "cannot be resolved: " + err.Error()
	}
	return &policy.Error{Field: "net_allow", Value: name, Problem: problem,
		Hint: "names are resolved on the host when the command starts: mend the name, or write an address", Cause: err}
}
