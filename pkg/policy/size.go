package policy

import (
	"fmt"
	"math"
	"strconv"
)

// sizeUnits are powers of 1024.
var sizeUnits = map[byte]uint64{'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 'T': 1 << 40}

// ParseSize reads a number of bytes, such as "512M": a whole number, and K, M, G or T for powers of 1024. The error is an
// *Error without a field.
func ParseSize(text string) (uint64, error) {
	digits, unit := text, uint64(1)
	if text != "" {
		if factor, ok := sizeUnits[text[len(text)-1]&^0x20]; ok { // in either case
			digits, unit = text[:len(text)-1], factor
		}
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case err != nil && !isDigits(digits):
		return 0, &Error{Value: text, Problem: "is no size",
			Hint: `write bytes, or a whole number with K, M, G or T for powers of 1024, such as "512M"`}
	case err != nil || number > math.MaxInt64/unit:
		return 0, &Error{Value: text, Problem: "is more than any machine has", Hint: "leave the field out for no limit"}
	}
	return number * unit, nil
}

func isDigits(text string) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text != ""
}

func optionalSize(target **uint64, value any) *Error {
	text, ok := value.(string)
	if !ok {
		err := optionalCount(target, value)
		if err != nil && err.Problem == wrongType(value, "a whole number").Problem {
			err.Problem = fmt.Sprintf("is %s where a size is expected", kind(value))
			err.Hint = `write bytes, or a string such as "512M"`
		}
		return err
	}
	size, err := ParseSize(text)
	if err != nil {
		return err.(*Error)
	}
	*target = &size
	return nil
}
