/// Addresses made of options: <troupe/socket_address.h>.
#include <string.h>
#include <troupe/socket_address.h>

enum { FLOW_LABEL_MAX = 0xfffff };

static int parse(troupe_address_t *address, const troupe_socket_address_options_t *options,
                 int family);

int troupe_socket_address_init(troupe_address_t *address,
                               const troupe_socket_address_options_t *options) {
  static const troupe_socket_address_options_t defaults = {0};
  if (address == NULL) {
    return TROUPE_EINVAL;
  }
  if (options == NULL) {
    options = &defaults;
  }
  int family = options->family == TROUPE_FAMILY_NONE ? TROUPE_FAMILY_IPV4 : options->family;
  if (family != TROUPE_FAMILY_IPV4 && family != TROUPE_FAMILY_IPV6) {
    return TROUPE_ERR_INVALID_ARG_VALUE;
  }
  if (options->port < 0 || options->port > UINT16_MAX) {
    return TROUPE_ERR_SOCKET_BAD_PORT;
  }
  if (options->flowlabel > FLOW_LABEL_MAX) {
    return TROUPE_ERR_OUT_OF_RANGE;
  }
  troupe_address_t made;
  int status = parse(&made, options, family);
  if (status != 0) {
    return status;
  }
  if (family == TROUPE_FAMILY_IPV6) {
    made.flowlabel = options->flowlabel;
  }
  *address = made;
  return 0;
}

static int parse(troupe_address_t *address, const troupe_socket_address_options_t *options,
                 int family) {
  const char *text = options->address;
  if (text == NULL) {
    text = family == TROUPE_FAMILY_IPV6 ? "::" : "127.0.0.1";
  }
  size_t length = options->address == NULL || options->address_length == 0
                      ? strlen(text)
                      : options->address_length;
  int status = troupe_address_parse(address, text, length, (uint16_t)options->port);
  if (status == 0 && address->family != family) {
    status = TROUPE_ERR_INVALID_ADDRESS;
  }
  return status;
}
