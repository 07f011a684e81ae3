#include <stdio.h>
#include <string.h>

#include "broker/command.h"

static const char help[] = "usage: sockbroker service ...\n\n"
                           "Services of this kind are there on Windows. Here `sockbroker serve` is run by the service manager\n"
                           "as it is: samples/systemd has unit files.\n";

int sb_command_service(int argc, char **argv)
{
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        fputs(help, stdout);
        return SB_EXIT_OK;
    }
    return sb_command_misuse("service", "this is for Windows; systemd runs `sockbroker serve` as it is");
}
