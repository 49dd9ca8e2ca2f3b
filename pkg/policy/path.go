package policy

import "strings"

// tidy drops what never changes the meaning of a path: repeated slashes, "." components and slashes at the end. It
// leaves ".." alone, since "a/.." is not "." when a is a symbolic link, and it never makes a relative path absolute.
func tidy(path string) string {
	if isTidy(path) {
		return path
	}
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	tidied := strings.Join(parts, "/")
	switch {
	case strings.HasPrefix(path, "/"):
		return "/" + tidied
	case tidied == "":
		return "."
	}
	return tidied
}

// isTidy knows most tidy paths without taking them apart.
func isTidy(path string) bool {
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if part == "" || part == "." {
			return false
		}
	}
	return true
}

func tidyAll(paths []string) []string {
	if paths == nil {
		return nil
	}
	tidied := make([]string, len(paths))
	for i, path := range paths {
		tidied[i] = tidy(path)
	}
	return tidied
}
