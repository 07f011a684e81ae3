/* Zones by the names of the interfaces that there are: those that the system gives, and those that people see. */
#include "tests/unit/unit.h"

#include <string.h>

#include "client-lib/sysnet.h"
#include "proto/utf_win32.h"
#include "sockbroker/addr.h"
#include "tests/support/format.h"

#include <iphlpapi.h>

static void assert_names(const char *name, uint32_t index)
{
    struct sockbroker_addr addr;
    struct sockbroker_error error;
    char text[600];

    format_text(text, sizeof(text), "fe80::1%%%s", name);
    if (sockbroker_addr_parse_ip(text, &addr, &error))
        fail_msg("%s: %s", text, error.text);
    assert_int_equal(addr.scope_id, index);
}

/* A name with a blank cannot stand in an address; its number can. */
static void zone_name_becomes_the_index(void **state)
{
    MIB_IF_TABLE2 *all;
    unsigned n_named = 0;

    (void)state;
    assert_int_equal(GetIfTable2(&all), NO_ERROR);
    for (ULONG i = 0; i < all->NumEntries; i++) {
        const MIB_IF_ROW2 *row = &all->Table[i];
        char name[IF_NAMESIZE], alias[512];

        if (if_indextoname(row->InterfaceIndex, name)) {
            assert_names(name, row->InterfaceIndex);
            n_named++;
        }
        if (sb_utf_narrow(row->Alias, alias, sizeof(alias)) && alias[0] && !strpbrk(alias, " :/%") &&
            strspn(alias, "0123456789") < strlen(alias))
            assert_names(alias, row->InterfaceIndex);
    }
    FreeMibTable(all);
    assert_true(n_named > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { UNIT_TEST(zone_name_becomes_the_index) };

    return cmocka_run_group_tests_name("addr_win32", tests, NULL, NULL);
}
