package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

func stringList(target *[]string, value any) *Error {
	switch list := value.(type) {
	case []string:
		*target = slices.Clone(list)
		return nil
	case []any:
		texts := make([]string, len(list))
		for i, item := range list {
			text, ok := item.(string)
			if !ok {
				return wrongItem(item, i, "a string")
			}
			texts[i] = text
		}
		*target = texts
		return nil
	case string:
		return &Error{Value: list, Problem: "is a string where a list of strings is expected",
			Hint: "write [" + quote(list) + "]"}
	}
	return wrongType(value, "a list of strings")
}

// portList is stringList, and takes whole numbers as well.
func portList(target *[]string, value any) *Error {
	if list, ok := value.([]any); ok {
		texts := make([]any, len(list))
		for i, item := range list {
			texts[i] = item
			if number, whole := wholeNumber(item); whole {
				texts[i] = strconv.FormatInt(number, 10)
			}
		}
		value = texts
	}
	return stringList(target, value)
}

func protectionList(target *[]Protection, value any) *Error {
	list, ok := value.([]any)
	if !ok {
		return wrongType(value, "a list of protections")
	}
	protections := make([]Protection, len(list))
	for i, item := range list {
		text, ok := item.(string)
		if !ok {
			number, whole := wholeNumber(item)
			if !whole {
				return wrongItem(item, i, "a protection's name or number")
			}
			text = strconv.FormatInt(number, 10)
		}
		protection, err := ParseProtection(text)
		if err != nil {
			return err.(*Error)
		}
		protections[i] = protection
	}
	*target = protections
	return nil
}

func stringMap(target *map[string]string, value any) *Error {
	switch table := value.(type) {
	case nil:
		return nil
	case map[string]string:
		*target = maps.Clone(table)
		return nil
	case map[string]any:
		texts := make(map[string]string, len(table))
		for _, name := range slices.Sorted(maps.Keys(table)) {
			text, ok := table[name].(string)
			if !ok {
				return &Error{Value: name, Problem: "has " + kind(table[name]) + " as its value where a string is expected",
					Hint: "every value of the table is a string; put quotes around it"}
			}
			texts[name] = text
		}
		*target = texts
		return nil
	}
	return wrongType(value, "a table of strings")
}

func boolean(target *bool, value any) *Error {
	truth, ok := value.(bool)
	if !ok {
		return wrongType(value, "true or false")
	}
	*target = truth
	return nil
}

func optionalString(target *string, value any) *Error {
	if value == nil {
		return nil
	}
	text, ok := value.(string)
	if !ok {
		return wrongType(value, "a string")
	}
	*target = text
	return nil
}

func optionalCount(target **uint64, value any) *Error {
	if value == nil {
		return nil
	}
	number, ok := wholeNumber(value)
	if digits, decoded := value.(json.Number); !ok && decoded && strings.Trim(string(digits), "-0123456789") == "" {
		return &Error{Value: value, Problem: "has more than 64 bits", Hint: "write a whole number nearer to 0"}
	}
	if !ok {
		return wrongType(value, "a whole number")
	}
	if number < 0 {
		return &Error{Value: value, Problem: "is negative", Hint: "write a positive number, or leave the field out"}
	}
	count := uint64(number)
	*target = &count
	return nil
}

func optionalNumbers(target *[]int, value any) *Error {
	switch list := value.(type) {
	case nil:
		return nil
	case []int:
		*target = slices.Clone(list)
		return nil
	case []any:
		numbers := make([]int, len(list))
		for i, item := range list {
			number, ok := wholeNumber(item)
			if !ok {
				return wrongItem(item, i, "a whole number")
			}
			numbers[i] = int(number)
		}
		*target = numbers
		return nil
	}
	return wrongType(value, "a list of whole numbers")
}

// wholeNumber accepts the number types of JSON and TOML decoders. A float64 counts only where it is exact.
func wholeNumber(value any) (int64, bool) {
	const exact = 1 << 53
	switch number := value.(type) {
	case int:
		return int64(number), true
	case int64:
		return number, true
	case uint64:
		return int64(number), number <= math.MaxInt64
	case float64:
		return int64(number), number == math.Trunc(number) && math.Abs(number) <= exact
	case json.Number:
		whole, err := strconv.ParseInt(string(number), 10, 64)
		return whole, err == nil
	}
	return 0, false
}

func wrongType(value any, expected string) *Error {
	return &Error{Value: value, Problem: fmt.Sprintf("is %s where %s is expected", kind(value), expected),
		Hint: "write " + expected}
}

func wrongItem(item any, index int, expected string) *Error {
	return &Error{Value: item, Problem: fmt.Sprintf("is %s where %s is expected (entry %d of the list)", kind(item), expected, index+1),
		Hint: "every entry of the list is " + expected}
}

// kind names a value's type in words that fit JSON, TOML and Python.
func kind(value any) string {
	switch value.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a truth value"
	case string:
		return "a string"
	case []any, []string:
		return "a list"
	case map[string]any, map[string]string:
		return "a table"
	case int, int64, uint64, float64, json.Number:
		return "a number"
	case fmt.Stringer: // of a TOML decoder
		return "a date or time"
	}
	return "something else"
}
