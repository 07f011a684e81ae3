#include "sockbroker/select.h"

const char *sockbroker_rule_text(enum sockbroker_rule rule)
{
    switch (rule) {
    case SOCKBROKER_RULE_NONE:
        return "";
    case SOCKBROKER_RULE_USABLE:
        return "avoid unusable destinations";
    case SOCKBROKER_RULE_MATCHING_SCOPE:
        return "prefer matching scope";
    case SOCKBROKER_RULE_DEPRECATED:
        return "avoid deprecated addresses";
    case SOCKBROKER_RULE_HOME:
        return "prefer home addresses";
    case SOCKBROKER_RULE_MATCHING_LABEL:
        return "prefer matching label";
    case SOCKBROKER_RULE_PRECEDENCE:
        return "prefer higher precedence";
    case SOCKBROKER_RULE_NATIVE:
        return "prefer native transport";
    case SOCKBROKER_RULE_SMALLER_SCOPE:
        return "prefer smaller scope";
    case SOCKBROKER_RULE_LONGEST_PREFIX:
        return "use longest matching prefix";
    case SOCKBROKER_RULE_ORDER:
        return "leave the order unchanged";
    }
    return "unknown rule";
}

const char *sockbroker_unusable_text(enum sockbroker_unusable unusable)
{
    switch (unusable) {
    case SOCKBROKER_USABLE:
        return "usable";
    case SOCKBROKER_UNUSABLE_NO_ROUTE:
        return "no route";
    case SOCKBROKER_UNUSABLE_NO_SOURCE:
        return "no source address";
    case SOCKBROKER_UNUSABLE_NO_FAMILY:
        return "no such address family here";
    case SOCKBROKER_UNUSABLE_FORBIDDEN:
        return "forbidden by the system";
    case SOCKBROKER_UNUSABLE_NO_ZONE:
        return "no zone, and not exactly one interface it can mean";
    }
    return "unknown reason";
}
