package policy

import (
	"encoding/json"
	"strconv"
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
