package policy

import "math"

// noID is (uid_t)-1, which stands for no user where the kernel takes one.
const noID = math.MaxUint32

func checkIdentity(uid, gid *uint32) *Error {
	const together = "give uid and gid together, or neither"
	switch {
	case uid != nil && gid == nil:
		return &Error{Field: "uid", Value: *uid, Problem: "is there without gid", Hint: together}
	case uid == nil && gid != nil:
		return &Error{Field: "gid", Value: *gid, Problem: "is there without uid", Hint: together}
	case uid != nil && *uid == noID:
		return &Error{Field: "uid", Value: *uid, Problem: "stands for no user", Hint: "write a number below it"}
	case gid != nil && *gid == noID:
		return &Error{Field: "gid", Value: *gid, Problem: "stands for no group", Hint: "write a number below it"}
	}
	return nil
}

// maxUmask are the bits of a mask that the kernel looks at (umask(2)).
const maxUmask = 0o777

func checkUmask(mask *uint32) *Error {
	if mask == nil || *mask <= maxUmask {
		return nil
	}
	return &Error{Field: "umask", Value: *mask, Problem: "is more than 0o777 (511)",
		Hint: "write the bits that new files shall not have, such as 0o022"}
}

// optionalID reads the number of a user or a group; optionalMode a file mode.
func optionalID(target **uint32, value any) *Error {
	return optional32(target, value, "users and groups have numbers from 0 to 4294967294")
}

func optionalMode(target **uint32, value any) *Error {
	return optional32(target, value, "write the bits that new files shall not have, such as 0o022")
}

func optional32(target **uint32, value any, hint string) *Error {
	var number *uint64
	if err := optionalCount(&number, value); err != nil || number == nil {
		return err
	}
	if *number > math.MaxUint32 {
		return &Error{Value: value, Problem: "is too large", Hint: hint}
	}
	narrow := uint32(*number)
	*target = &narrow
	return nil
}
