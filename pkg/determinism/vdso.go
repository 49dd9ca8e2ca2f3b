package determinism

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"strings"
	"sync"
)

// vdsoFunctions gives where the vDSO has its functions, by the names of the system calls that they stand for. All
// programs of this machine have the same vDSO, the host too.
var vdsoFunctions = sync.OnceValues(func() (map[string]uint64, error) {
	image, err := ownVDSO()
	if err != nil {
		return nil, fmt.Errorf("read the own vDSO: %w", err)
	}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, fmt.Errorf("read the own vDSO: %w", err)
	}
	defer file.Close()
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return nil, fmt.Errorf("read the functions of the own vDSO: %w", err)
	}
	offsets := make(map[string]uint64)
	for _, symbol := range symbols {
		if name, ok := strings.CutPrefix(symbol.Name, vdsoPrefix); ok && elf.ST_TYPE(symbol.Info) == elf.STT_FUNC {
			offsets[name] = symbol.Value
		}
	}
	return offsets, nil
})

// maxVDSO is more than any vDSO has.
const maxVDSO = 1 << 16

func ownVDSO() ([]byte, error) {
	vector, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return nil, err
	}
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	image := make([]byte, maxVDSO)
	count, err := memory.ReadAt(image, int64(parseAuxv(vector)[auxVDSO]))
	if count == 0 {
		return nil, err
	}
	return image[:count], nil // what follows it in memory does no harm
}
