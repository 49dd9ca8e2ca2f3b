package notify

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrGone says that the notification was answered, or that its task died or was interrupted: whatever was read may be
// another process's.
var ErrGone = errors.New("the notification is over")

// ErrTooLong says that no NUL was found within the length that was asked for.
var ErrTooLong = errors.New("the string does not end within the given length")

// Read fills buffer from the task's memory. It stops at the first page that cannot be read, and fails only when that
// is the first one, with EFAULT.
func (n *Notification) Read(buffer []byte, address uint64) (int, error) {
	if len(buffer) == 0 {
		return 0, nil
	}
	local := []unix.Iovec{{Base: &buffer[0]}}
	local[0].SetLen(len(buffer))
	// The kernel fails whole elements: with one for each page, what lies before an unmapped page still comes.
	total := 0
	for total < len(buffer) {
		remote := pages(address+uint64(total), len(buffer)-total)
		count, err := unix.ProcessVMReadv(n.Task(), local, remote, 0)
		if err != nil || count == 0 {
			if total == 0 {
				return 0, n.memoryError("read", address, err)
			}
			break
		}
		total += count
		if total < len(buffer) {
			local[0].Base = &buffer[total]
			local[0].SetLen(len(buffer) - total)
		}
	}
	// Only now: a task that is alive here was alive when it was read.
	if !n.Valid() {
		return 0, ErrGone
	}
	return total, nil
}

// pages cuts a range of memory at the page boundaries, into as many elements as one call takes.
func pages(address uint64, length int) []unix.RemoteIovec {
	elements := make([]unix.RemoteIovec, 0, min(length/int(pageSize)+2, maxElements))
	for length > 0 && len(elements) < cap(elements) {
		size := min(length, toPageEnd(address))
		elements = append(elements, unix.RemoteIovec{Base: uintptr(address), Len: size})
		address += uint64(size)
		length -= size
	}
	return elements
}

// usualString is what is read first of a string: a whole page would push a good part of the caches out.
const usualString = 256

// ReadString reads up to a NUL, which it leaves out; a string of more than limit bytes is ErrTooLong.
func (n *Notification) ReadString(buffer []byte, address uint64, limit int) (int, error) {
	length, most := 0, usualString
	for limit = min(limit, len(buffer)-1); length <= limit; most = len(buffer) {
		end := min(limit+1, length+min(most, toPageEnd(address+uint64(length))))
		count, err := n.Read(buffer[length:end], address+uint64(length))
		if err != nil {
			return 0, err
		}
		if i := bytes.IndexByte(buffer[length:length+count], 0); i >= 0 {
			return length + i, nil
		}
		length += count
	}
	return 0, ErrTooLong
}

// Write copies data into the task's memory; pages that the task may not write are refused with EFAULT. Other threads
// of the task see it at once, and whatever they write later wins.
func (n *Notification) Write(data []byte, address uint64) error {
	if !n.Valid() {
		return ErrGone
	}
	if len(data) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &data[0]}}
	local[0].SetLen(len(data))
	remote := []unix.RemoteIovec{{Base: uintptr(address), Len: len(data)}}
	count, err := unix.ProcessVMWritev(n.Task(), local, remote, 0)
	if err == nil && count != len(data) {
		err = unix.EFAULT
	}
	if err != nil {
		return n.memoryError("write", address, err)
	}
	if !n.Valid() {
		return ErrGone
	}
	return nil
}

func (n *Notification) memoryError(verb string, address uint64, err error) error {
	if err == nil {
		err = unix.EFAULT
	}
	if !n.Valid() {
		return ErrGone
	}
	return fmt.Errorf("%s the memory of task %d at %#x: %w", verb, n.Task(), address, err)
}

var pageSize = uint64(os.Getpagesize())

// maxElements is IOV_MAX, see readv(2).
const maxElements = 1024

func toPageEnd(address uint64) int { return int(pageSize - address%pageSize) }
