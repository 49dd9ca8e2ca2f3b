// Package hosts pins the names in a policy's rules: it resolves them once, and shows the command an /etc/hosts that has
// the addresses that were found, so that both have the same view without a resolver.
package hosts
