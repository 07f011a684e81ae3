#include "tests/unit/exports.h"

#include "tests/unit/unit.h"

#include <windows.h>

/* A loaded library begins with its headers; addresses in them count from there. */
static const void *at(HMODULE library, DWORD offset)
{
    return (const char *)library + offset;
}

static const IMAGE_EXPORT_DIRECTORY *directory_of(HMODULE library)
{
    const IMAGE_DOS_HEADER *dos = at(library, 0);
    const IMAGE_NT_HEADERS *nt = at(library, (DWORD)dos->e_lfanew);

    return at(library, nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT].VirtualAddress);
}

void exports_each(const char *library, void (*take)(const char *name))
{
    HMODULE loaded = LoadLibraryExA(library, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);

    assert_non_null(loaded);
    const IMAGE_EXPORT_DIRECTORY *directory = directory_of(loaded);
    const DWORD *names = at(loaded, directory->AddressOfNames);
    assert_int_equal(directory->NumberOfFunctions, directory->NumberOfNames); /* none by number alone */
    for (DWORD i = 0; i < directory->NumberOfNames; i++)
        take(at(loaded, names[i]));
    FreeLibrary(loaded);
}
