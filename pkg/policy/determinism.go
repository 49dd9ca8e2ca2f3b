package policy

import (
	"encoding/json"
	"strconv"
	"time"
)

// optionalSeed reads a number of 64 bits without a sign.
func optionalSeed(target **uint64, value any) *Error {
	if number, ok := value.(json.Number); ok { // what JSON gives may be beyond an int64
		if seed, err := strconv.ParseUint(string(number), 10, 64); err == nil {
			*target = &seed
			return nil
		}
	}
	if seed, ok := value.(uint64); ok {
		*target = &seed
		return nil
	}
	if err := optionalCount(target, value); err != nil {
		err.Hint = "write a number from 0 to 18446744073709551615, or leave the field out"
		return err
	}
	return nil
}

// timeOfDay reads a time of RFC 3339.
func timeOfDay(target *time.Time, value any) *Error {
	const hint = `write "2024-01-31T12:00:00Z", or with an offset as in "2024-01-31T12:00:00+01:00"`
	var text string
	if err := optionalString(&text, value); err != nil || value == nil {
		return err
	}
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return &Error{Value: text, Problem: "is no time of RFC 3339", Hint: hint, Cause: err}
	}
	*target = parsed
	return nil
}

func checkTimeStart(start time.Time) *Error {
	if start.IsZero() || start.Unix() >= 0 {
		return nil
	}
	return &Error{Field: "time_start", Value: start.Format(time.RFC3339), Problem: "is before 1970, where the kernel's clock begins",
		Hint: "write a later time"}
}
