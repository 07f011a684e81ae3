/* status.h: what a call answers, and the sentence that goes with a failure. */
#ifndef SOCKBROKER_STATUS_H
#define SOCKBROKER_STATUS_H

#if defined(_WIN32) && defined(SOCKBROKER_EXPORTS) /* while the library itself is compiled */
#define SOCKBROKER_API __declspec(dllexport)
#elif defined(_WIN32)
#define SOCKBROKER_API
#elif defined(__GNUC__)
#define SOCKBROKER_API __attribute__((visibility("default")))
#else
#define SOCKBROKER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* 0 is success. The first band are outcomes: normal answers, named in the contract of each function that
 * gives them. The second band are failures: pass them up, print the sockbroker_error that came with them. */
typedef enum sockbroker_status {
    SOCKBROKER_OK = 0,

    SOCKBROKER_AGAIN,      /* nothing there now; wait for the descriptor and call again */
    SOCKBROKER_TIMEOUT,    /* the time you gave has passed */
    SOCKBROKER_DRAINING,   /* the broker asked this worker to finish: no more connections will come */
    SOCKBROKER_CLOSED,     /* the object was closed, by you or by the other side */
    SOCKBROKER_REFUSED,    /* a rule of the broker's configuration says no */
    SOCKBROKER_BUSY,       /* a limit is reached; try again later */
    SOCKBROKER_NOT_FOUND,  /* no endpoint, worker or session of that name */
    SOCKBROKER_NAME_TAKEN, /* a living worker has this name already */
    SOCKBROKER_NO_BROKER,  /* nothing answers in that runtime directory */

    SOCKBROKER_INVALID,     /* an argument, option or text is not acceptable; the error says which and why */
    SOCKBROKER_BAD_MESSAGE, /* the other side sent something that is not a valid message */
    SOCKBROKER_VERSION,     /* the two sides have no protocol version in common */
    SOCKBROKER_NO_MEMORY,
    SOCKBROKER_NO_DESCRIPTORS, /* the process or the system has no descriptor left */
    SOCKBROKER_PERMISSION,     /* the system says no */
    SOCKBROKER_FORKED,         /* the library was used before a fork(); open workers after it, or exec */
    SOCKBROKER_ADDRESS_IN_USE,
    SOCKBROKER_ADDRESS_NOT_AVAILABLE,
    SOCKBROKER_UNSUPPORTED, /* this system cannot do that */
    SOCKBROKER_UNSAFE_PATH, /* a path could be changed by somebody else, or is not what it should be */
    SOCKBROKER_SYSTEM,      /* any other system error; the error carries its code */
    SOCKBROKER_STATUS_COUNT
} sockbroker_status;

/* Static texts, never NULL, also for values outside the enum ("unknown status").
 * name: "ADDRESS_IN_USE"; text: "the address is in use". */
SOCKBROKER_API const char *sockbroker_status_name(sockbroker_status status);
SOCKBROKER_API const char *sockbroker_status_text(sockbroker_status status);

#define SOCKBROKER_ERROR_TEXT_MAX 384

/* One sentence that names the thing, the cause and the cure. Filled when a call fails; where a function
 * takes one, NULL is allowed. The memory is the caller's. */
struct sockbroker_error {
    sockbroker_status status;
    int os_code; /* errno or GetLastError() value behind it, 0 when there is none */
    char text[SOCKBROKER_ERROR_TEXT_MAX];
};

#ifdef __cplusplus
}
#endif
#endif
