/// The flight recorder begins and ends.
#include <troupe/trace.h>

#include <pthread.h>
#include <stdatomic.h>

#include "actors/system/system.h"

int troupe_flight_start(troupe_system_t *system, const troupe_flight_options_t *options) {
  trp_flight_t *flight = NULL;
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  pthread_mutex_lock(&system->mutex);
  bool already = system->flight != NULL; // its file is not to be replaced
  pthread_mutex_unlock(&system->mutex);
  int error = already ? (int)TROUPE_EALREADY : trp_flight_open(options, &flight);
  if (error != 0) {
    return error;
  }
  pthread_mutex_lock(&system->mutex);
  already = system->flight != NULL;
  if (!already) {
    system->flight = flight;
    atomic_fetch_add(&system->recording, 1);
  }
  pthread_mutex_unlock(&system->mutex);
  if (already) {
    trp_flight_release(flight);
    return TROUPE_EALREADY;
  }
  return 0;
}

int troupe_flight_stop(troupe_system_t *system) {
  pthread_mutex_lock(&system->mutex);
  trp_flight_t *flight = system->flight;
  system->flight = NULL;
  if (flight != NULL) {
    atomic_fetch_add(&system->recording, 1);
  }
  pthread_mutex_unlock(&system->mutex);
  trp_flight_release(flight);
  return flight == NULL ? TROUPE_ESTALE : 0;
}
