/// Addresses made of options: <troupe/socket_address.h>.
#include <string.h>
#include <troupe/socket_address.h>

enum { FLOW_LABEL_MAX = 0xfffff, PORT_DIGITS = 5 };

static int parse(troupe_address_t *address, const troupe_socket_address_options_t *options,
                 int family);
static int read_port(const char *text, size_t length, uint16_t *port);

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

int troupe_socket_address_parse(troupe_address_t *address, const char *text, size_t length) {
  if (address == NULL) {
    return TROUPE_EINVAL;
  }
  bool brackets = text != NULL && length > 0 && text[0] == '[';
  const char *end = text == NULL ? NULL : memchr(text, brackets ? ']' : ':', length);
  if (text == NULL || (end == NULL && brackets)) {
    return TROUPE_ERR_INVALID_ADDRESS;
  }
  size_t host = end == NULL ? length : (size_t)(end - text); // up to the ':' or the bracket
  size_t at = host + brackets;
  uint16_t port = 0;
  if (at < length) {
    int error = text[at] == ':' ? read_port(text + at + 1, length - at - 1, &port)
                                : (int)TROUPE_ERR_INVALID_ADDRESS;
    if (error != 0) {
      return error;
    }
  }
  troupe_address_t made;
  int error = troupe_address_parse(&made, text + brackets, host - brackets, port);
  if (error == 0 && made.family != (brackets ? TROUPE_FAMILY_IPV6 : TROUPE_FAMILY_IPV4)) {
    error = TROUPE_ERR_INVALID_ADDRESS;
  }
  if (error == 0) {
    *address = made;
  }
  return error;
}

static int read_port(const char *text, size_t length, uint16_t *port) {
  unsigned number = 0;
  if (length == 0 || length > PORT_DIGITS) {
    return TROUPE_ERR_SOCKET_BAD_PORT;
  }
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') {
      return TROUPE_ERR_SOCKET_BAD_PORT;
    }
    number = number * 10 + (unsigned)(text[i] - '0');
  }
  *port = (uint16_t)number;
  return number <= UINT16_MAX ? 0 : (int)TROUPE_ERR_SOCKET_BAD_PORT;
}
