package core

import "sandlock/pkg/notify"

// ReadMemory reads the memory of the task behind a pending notification into the data of a worker's slot. It gives the
// number of bytes, which ends at the first page that cannot be read, or -1.
func ReadMemory(handle int64, index int, id, address uint64, length int) (count int, err error) {
	defer recovered(&err)
	defer keepFrame(handle)()
	data, n, ok := pending(handle, index, id, length)
	if !ok {
		return -1, nil
	}
	if count, err := n.Read(data[:length], address); err == nil {
		return count, nil
	}
	return -1, nil
}

// ReadString reads up to a NUL, which it leaves out, and at most limit bytes; -1 where that fails.
func ReadString(handle int64, index int, id, address uint64, limit int) (length int, err error) {
	defer recovered(&err)
	defer keepFrame(handle)()
	data, n, ok := pending(handle, index, id, limit)
	if !ok {
		return -1, nil
	}
	if length, err := n.ReadString(data, address, limit); err == nil {
		return length, nil
	}
	return -1, nil
}

// WriteMemory writes the first bytes of the data of a worker's slot to the memory of the task behind a pending
// notification.
func WriteMemory(handle int64, index int, id, address uint64, length int) (done bool, err error) {
	defer recovered(&err)
	defer keepFrame(handle)()
	data, n, ok := pending(handle, index, id, length)
	return ok && n.Write(data[:length], address) == nil, nil
}

// StillWaits reports whether the task behind a notification still waits for the answer.
func StillWaits(handle int64, id uint64) (waits bool, err error) {
	defer recovered(&err)
	n, ok := lookUp(handle).process().Supervisor().Pending(id)
	return ok && n.Valid(), nil
}

func pending(handle int64, index int, id uint64, length int) ([]byte, notify.Notification, bool) {
	r := lookUp(handle)
	if r.frame.memory == nil {
		return nil, notify.Notification{}, false
	}
	n, ok := r.process().Supervisor().Pending(id)
	return r.workers[index].slot[offsetData:], n, ok && 0 <= length && length <= dataSize
}

// keepFrame keeps the run's frame mapped until the returned function is called.
func keepFrame(handle int64) (release func()) {
	r := lookUp(handle)
	r.mapped.RLock()
	return r.mapped.RUnlock
}
