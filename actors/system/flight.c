/// The flight recorder begins and ends.
#include <troupe/trace.h>

#include <pthread.h>
#include <stdatomic.h>

#include "actors/system/system.h"

enum { FLIGHT_MS = 5000 };

/// An I/O actor that does not come to it in time is not in the file.
static void fly_io(troupe_system_t *system, trp_flight_t *flight) {
  trp_ground_t *ground = system->ground;
  for (unsigned io = 0; ground->ops->fly != NULL && io < ground->io_count; io++) {
    (void)ground->ops->fly(ground, io, trp_system_deadline(system, FLIGHT_MS), flight);
  }
}

static void set_flight(troupe_system_t *system, trp_flight_t *flight) {
  pthread_mutex_lock(&system->mutex);
  system->flight = flight;
  atomic_fetch_add(&system->recording, 1);
  pthread_mutex_unlock(&system->mutex);
  fly_io(system, flight);
}

int troupe_flight_start(troupe_system_t *system, const troupe_flight_options_t *options) {
  trp_flight_t *flight = NULL;
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  pthread_mutex_lock(&system->flying);
  int error = system->flight != NULL // its file is not to be replaced
                  ? (int)TROUPE_EALREADY
                  : trp_flight_open(options, system->ground->io_count, &flight);
  if (error == 0) {
    set_flight(system, flight);
  }
  pthread_mutex_unlock(&system->flying);
  return error;
}

int troupe_flight_stop(troupe_system_t *system) {
  if (system == NULL) {
    return TROUPE_EINVAL;
  }
  pthread_mutex_lock(&system->flying);
  trp_flight_t *flight = system->flight;
  if (flight != NULL) {
    set_flight(system, NULL);
    trp_flight_release(flight);
  }
  pthread_mutex_unlock(&system->flying);
  return flight == NULL ? TROUPE_ESTALE : 0;
}
