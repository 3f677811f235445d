/*
 * chat, inside. Each actor serves the members whose connections were dealt to it, and knows every
 * person who is in a room, wherever that one lives. What happens in a room is one message, made
 * once by the actor of the member who did it: sent to the other actors by reference, and the text
 * in it written by reference to each member who hears it.
 *
 *   chat.c      options
 *   actor.c     the actor's main function
 *   member.c    a connection: lines in, texts out, slow ones, good-byes
 *   commands.c  what members can say
 *   people.c    persons and rooms
 *   relay.c     messages between the actors, and what waits for an actor that is behind
 *   names.c     each name belongs to one person: the directory, spread over the actors
 */
#ifndef EXAMPLES_CHAT_H_INCLUDED
#define EXAMPLES_CHAT_H_INCLUDED

#include <sys/queue.h>

#include "../common/lines.h"
#include "../common/program.h"
#include "../common/table.h"

enum {
  LINE_LIMIT = 4096, /* bytes */
  NAME_LIMIT = 32,   /* bytes of a person's or a room's name */
  NAME_SIZE = NAME_LIMIT + 1,
  FAREWELL_RESERVE = 512, /* room in a queue that is full for everything else */
  FAREWELL_MS = 5000,     /* so long may a member take to read what was left for it */
  LINES_A_TURN = 16,      /* of one member, then it is another's turn */
  ACTORS_MAX = 64,
  OUTBOX_MARK = 1024, /* messages that wait for one actor; nobody says anything above it */
};

#define FIRST_ROOM "lobby"

/* Given to each actor as a copy of its own. */
typedef struct {
  program_target_t target;
  unsigned actors;
  size_t queue; /* bytes that may wait for a member */
} config_t;

typedef struct chat chat_t;
typedef struct room room_t;
typedef struct person person_t;
typedef struct member member_t;

/* ---- Persons and rooms ---- */

/* Somebody. One of another actor is known only while in a room. */
struct person {
  LIST_ENTRY(person) neighbours; /* in `room` */
  uint64_t id;                   /* the actor's index, and a number of its own */
  room_t *room;                  /* NULL: in none */
  member_t *member;              /* NULL: lives on another actor */
  uint32_t visit;                /* how often it has come into a room */
  char name[NAME_SIZE];
};

LIST_HEAD(people, person);

struct room {
  char name[NAME_SIZE]; /* as its first visitor wrote it; small and capital letters are the same */
  struct people here;   /* members of this actor */
  struct people elsewhere;
  size_t count;
  unsigned on[]; /* how many persons of each actor */
};

unsigned person_actor(const person_t *person);
person_t *person_find(const chat_t *chat, uint64_t id);
/* False: there is no memory. */
bool person_add(chat_t *chat, person_t *person);
person_t *person_new_elsewhere(chat_t *chat, uint64_t id);
/* Takes it out of its room and out of the actor's table; frees it if it lives elsewhere. */
void person_remove(chat_t *chat, person_t *person);

/* Finds a room, or makes it; it is there until its last person leaves. NULL: there is no memory. */
room_t *room_get(chat_t *chat, const char *name);
void room_enter(chat_t *chat, room_t *room, person_t *person);
void room_leave(chat_t *chat, person_t *person);

void people_free(chat_t *chat);

/* Makes small letters of ASCII's capital ones: a key to look up by. Returns the length. */
size_t fold(char *folded, const char *name);

/* ---- Messages between the actors ---- */

typedef enum {
  ACTORS,  /* from main(): who the actors are; the first and the only one from there */
  JOINED,  /* a person came into a room */
  LEFT,    /* a person left the room it was in */
  RENAMED, /* a person has another name */
  SAID,    /* a person said something */
  CLAIM,   /* to a name's home: may this person have it? */
  ANSWER,  /* yes or no */
  RELEASE, /* to a name's home: it is free again */
  SEEN,    /* to a person's actor: from here on it is told what is said where that person is */
} what_t;

/* A message is this, the room, the name, and the text that members will read, if there is one. */
typedef struct {
  uint64_t person;
  uint8_t what;
  uint8_t room_length;
  uint8_t name_length;
  uint8_t granted; /* of ANSWER */
  uint32_t visit;  /* of JOINED and SEEN: which one of the person's, from 1 */
} head_t;

typedef struct {
  head_t head;
  char room[NAME_SIZE];
  char name[NAME_SIZE];
  size_t text_offset;
  const troupe_chunk_t *chunk;
} message_t;

bool relay_open(chat_t *chat);
void relay_free(chat_t *chat);
void on_message(troupe_actor_t from, const troupe_chunk_t *bytes, void *context);
void on_sendable(troupe_actor_t to, void *context);
void on_actor_down(troupe_actor_t actor, troupe_reason_t reason, int status, void *context);

/* Makes it happen here and on the other actors; `text` (made of two parts) is what others hear. */
void publish(chat_t *chat, what_t what, person_t *person, const char *room, const char *name,
             const char *text, size_t length, const char *more, size_t more_length);
/* The same with a text of printf(), which is short. */
void announce(chat_t *chat, what_t what, person_t *person, const char *room, const char *name,
              const char *format, ...) __attribute__((format(printf, 6, 7)));
/* Sends a message without a text to one other actor. */
void send_note(chat_t *chat, unsigned actor, what_t what, uint64_t person, const char *name,
               bool granted);

/* Whether actors that would hear this person (all of them: `room` NULL) are behind. */
bool relay_is_behind(const chat_t *chat, const room_t *room);

/* ---- Names ---- */

/* Asks for a name; names_answered() says what came of it, at once or later. */
void name_claim(chat_t *chat, member_t *member, const char *name);
void name_release(chat_t *chat, uint64_t person, const char *name);
/* This actor is the name's home. */
bool name_grant(chat_t *chat, uint64_t person, const char *name);
void name_forget(chat_t *chat, uint64_t person, const char *name);
void name_answered(chat_t *chat, uint64_t person, const char *name, bool granted);
/* An actor is gone: so are its people's names, and the answers that it owed. */
void names_lose_actor(chat_t *chat, unsigned actor);
void names_free(chat_t *chat);

/* ---- Members ---- */

typedef enum { NOT_QUEUED, READY, BEHIND } queued_t;

struct member {
  person_t person;
  chat_t *chat;
  troupe_socket_t socket;
  LIST_ENTRY(member) neighbours;
  TAILQ_ENTRY(member) turn; /* in chat->ready or chat->behind */
  TAILQ_ENTRY(member) fate; /* in chat->slow */
  lines_t lines;
  char claimed[NAME_SIZE]; /* asked for at the name's home; "": nothing */
  troupe_timer_t farewell;
  queued_t queued;
  bool greeted;
  bool paused;
  bool ended;    /* it will say no more */
  bool leaving;  /* it was told good-bye, and is in no room */
  bool too_slow; /* its queue is full: it will be told good-bye */
  bool owns_name;
  uint64_t seen_by; /* bits: actors that know where it is, and so send what is said there. What
                       others sent before, to somebody who was there earlier, is not for it: it
                       would hear one line, and not the next */
};

_Static_assert(ACTORS_MAX <= 64, "a bit for each actor");

TAILQ_HEAD(members, member);

void on_connection(troupe_server_t server, troupe_socket_t socket, void *context);

/* Says hello once the other actors are known. */
void member_greet(member_t *member);
/* Goes on with what the member has said. */
void member_pump(member_t *member);
/* Writes to it. One whose queue is full is marked too slow. */
void member_give(member_t *member, const troupe_chunk_t *chunk);
void member_tell(member_t *member, const char *format, ...) __attribute__((format(printf, 2, 3)));
void member_tell_bytes(member_t *member, const char *bytes, size_t length);
/* Takes it out of its room (others read `reason`), writes good-bye, and closes. */
void member_part(member_t *member, const char *reason, const char *farewell);
void member_rename(member_t *member, const char *name);
void member_join(member_t *member, const char *name);
void member_leave_room(member_t *member, const char *reason);

/* Something can be sent to an actor again that was behind. */
void members_wake(chat_t *chat);
/* Ends those who turned out to be too slow. The last thing that each callback does. */
void members_settle(chat_t *chat);
/* The actor is asked to stop. */
void members_stop(void *context);
/* Frees those whose sockets were not closed when the actor's time was over. */
void members_free(chat_t *chat);

/* A line that the member has said. */
void command(member_t *member, const char *line, size_t length);

/* ---- The actor ---- */

/* Its main function; the argument is a config_t. */
int chat_actor(void *argument);

/* The actors must know each other before anybody can be heard. 0 or an error. */
int chat_introduce(troupe_system_t *system, const troupe_actor_t *actors, unsigned count);

/* Another actor. */
typedef struct waiting {
  STAILQ_ENTRY(waiting) next;
  troupe_chunk_t *chunk;
} waiting_t;

typedef struct {
  troupe_actor_t actor;
  bool gone;
  size_t count;
  STAILQ_HEAD(, waiting) outbox; /* when troupe_send() says that the actor is behind */
} peer_t;

struct chat {
  const config_t *config;
  unsigned index;
  uint64_t next_person;
  bool knows_peers;
  bool stops;
  peer_t *peers; /* one for each actor; its own is not used */
  table_t persons;
  table_t rooms;
  table_t names; /* those that have their home here: name to person */
  LIST_HEAD(, member) members;
  struct members ready;  /* have said more, and wait for their turn */
  struct members behind; /* the same, but what they say could not be sent on */
  struct members slow;
  bool turn_is_set;
};

/* The actors would know different things, most likely for want of memory: this one ends, and the
   others hear of it. */
void chat_fail(chat_t *chat, int error);

#endif
