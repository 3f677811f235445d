/// Block lists: which addresses are not wanted. Node: net.BlockList.
#ifndef TROUPE_BLOCK_LIST_H_INCLUDED
#define TROUPE_BLOCK_LIST_H_INCLUDED

#include <troupe/address.h>

TROUPE_BEGIN

/// A list of rules, each an address, a range of addresses or a subnet. It belongs to no actor and
/// no system. For servers that shall refuse whom it names: troupe_server_set_block_list().
///
/// All functions but troupe_block_list_free() may be called from any number of threads at the same
/// time, on the same list: a check sees every rule whose addition returned before the check began.
/// Nothing waits for longer than it takes another thread to add a rule (microseconds; a few
/// milliseconds now and then, once there are hundreds of thousands of rules).
///
/// What an actor learns from a list that others change meanwhile is not in the actor's trace: for a
/// replay, let it have a list of its own.
///
/// Of IPv6 addresses those that map an IPv4 one (::ffff:1.2.3.4) are the same as that one, in rules
/// and in checks. Zones, ports and flow labels do not count.
typedef struct troupe_block_list troupe_block_list_t;

enum {
  TROUPE_BLOCK_RULE_TEXT_SIZE = 128, ///< enough for the text of every rule, with its NUL
};

/// Makes an empty list. Node: new net.BlockList().
///
/// Ownership: `*list` is owned; free it with troupe_block_list_free().
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ENOMEM   there is no memory,
///            TROUPE_EINVAL   `list` is NULL.
TROUPE_API int troupe_block_list_new(troupe_block_list_t **list);

/// Frees a list that no other thread uses any more, and sets the pointer to NULL. A server that has
/// it keeps it for itself.
///
/// Ownership: `*list` is consumed; NULL is fine.
/// Thread:    any.
/// Blocks:    never.
TROUPE_API void troupe_block_list_free(troupe_block_list_t **list);

/// Adds a rule for one address. Node: blockList.addAddress().
///
/// Ownership: `address` is borrowed until the call returns.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_INVALID_ARG_VALUE   the address is neither IPv4 nor IPv6, or NULL,
///            TROUPE_ENOMEM                  there is no memory; nothing was added,
///            TROUPE_EINVAL                  `list` is NULL.
TROUPE_API int troupe_block_list_add_address(troupe_block_list_t *list,
                                             const troupe_address_t *address);

/// Adds a rule for all addresses from `start` to `end`, both included. Both should be of the same
/// family; of an IPv4 and an IPv6 address the rule has what lies between them as IPv6 addresses and
/// maps an IPv4 one, as in Node. A range of IPv6 addresses has IPv4 ones only if both its ends map
/// one. Node: blockList.addRange().
///
/// Ownership: `start` and `end` are borrowed until the call returns.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_INVALID_ARG_VALUE   the start comes after the end; or an address is
///                                           neither IPv4 nor IPv6, or NULL,
///            TROUPE_ENOMEM                  there is no memory; nothing was added,
///            TROUPE_EINVAL                  `list` is NULL.
TROUPE_API int troupe_block_list_add_range(troupe_block_list_t *list, const troupe_address_t *start,
                                           const troupe_address_t *end);

/// Adds a rule for all addresses whose first `prefix` bits are those of `network`. Node:
/// blockList.addSubnet().
///
/// Ownership: `network` is borrowed until the call returns.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or
///            TROUPE_ERR_OUT_OF_RANGE        the prefix is not 0 to 32 (IPv4) or 0 to 128 (IPv6),
///            TROUPE_ERR_INVALID_ARG_VALUE   the address is neither IPv4 nor IPv6, or NULL,
///            TROUPE_ENOMEM                  there is no memory; nothing was added,
///            TROUPE_EINVAL                  `list` is NULL.
TROUPE_API int troupe_block_list_add_subnet(troupe_block_list_t *list,
                                            const troupe_address_t *network, int prefix);

/// The same from texts, as troupe_is_ip() takes them. `family` says which the text has to be:
/// TROUPE_FAMILY_IPV4, TROUPE_FAMILY_IPV6, or TROUPE_FAMILY_NONE for either (where Node takes IPv4;
/// both ends of a range must then be of one family). Node: the `type` argument.
///
/// Ownership: texts are borrowed until the call returns, and need no NUL.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   as those above, and
///            TROUPE_ERR_INVALID_ADDRESS     a text is not an address of that family,
///            TROUPE_ERR_INVALID_ARG_VALUE   `family` is none of the three (looked at first).
TROUPE_API int troupe_block_list_add_address_text(troupe_block_list_t *list, const char *address,
                                                  size_t length, int family);
TROUPE_API int troupe_block_list_add_range_text(troupe_block_list_t *list, const char *start,
                                                size_t start_length, const char *end,
                                                size_t end_length, int family);
TROUPE_API int troupe_block_list_add_subnet_text(troupe_block_list_t *list, const char *network,
                                                 size_t length, int prefix, int family);

/// Tells whether a rule has the address. It takes well below a microsecond, however many rules
/// there are. Node: blockList.check().
///
/// Ownership: `address` is borrowed until the call returns.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   true if one has; false if none has, for a NULL list, and for what is no IP address.
TROUPE_API bool troupe_block_list_check(const troupe_block_list_t *list,
                                        const troupe_address_t *address);

/// The same for a text. `family` as above: a text that is no address of that family is in no list,
/// which is no error (as in Node). Whoever must not let anything pass asks troupe_is_ip() first.
///
/// Ownership: `address` is borrowed until the call returns, and needs no NUL.
/// Thread:    any.
/// Blocks:    never.
TROUPE_API bool troupe_block_list_check_text(const troupe_block_list_t *list, const char *address,
                                             size_t length, int family);

/// Gives how many rules there are; those that were added twice count twice. 0 for NULL. Node:
/// blockList.rules.length.
///
/// Thread:    any.
/// Blocks:    never.
TROUPE_API size_t troupe_block_list_count(const troupe_block_list_t *list);

/// Writes a rule as text; number 0 is the newest. "Address: IPv4 1.1.1.1",
/// "Range: IPv4 10.0.0.1-10.0.0.10", "Subnet: IPv6 8592:757c:efae:4e45::/64".
/// Node: blockList.rules[index].
///
/// Ownership: the caller's `text`, of which TROUPE_BLOCK_RULE_TEXT_SIZE bytes are always enough;
///            it ends with a NUL, and is cut if `size` is less.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   the length of the whole text without its NUL, or
///            TROUPE_ERR_OUT_OF_RANGE   there are not as many rules,
///            TROUPE_EINVAL             `list` or `text` is NULL, or `size` is 0.
TROUPE_API int troupe_block_list_rule_text(const troupe_block_list_t *list, size_t index,
                                           char *text, size_t size);

/// Adds a rule from such a text, so that a list that was written can be read again; the oldest rule
/// goes first. Later Node: blockList.fromJSON().
///
/// Ownership: `text` is borrowed until the call returns, and needs no NUL.
/// Thread:    any.
/// Blocks:    never.
/// Returns:   0, or the first of these that is the case:
///            TROUPE_ERR_INVALID_ARG_VALUE   it is no such text, or NULL, or a range that ends
///                                           before it starts,
///            TROUPE_ERR_INVALID_ADDRESS     an address in it is none, or not of its family,
///            TROUPE_ERR_OUT_OF_RANGE        its prefix is not 0 to 32 (IPv4) or 0 to 128 (IPv6),
///            TROUPE_EINVAL                  `list` is NULL,
///            TROUPE_ENOMEM                  there is no memory; nothing was added.
TROUPE_API int troupe_block_list_add_rule_text(troupe_block_list_t *list, const char *text,
                                               size_t length);

TROUPE_END

#endif
