/* Interposed before libc. It records, in order, every change that a process makes to the files of
 * one folder, and every sync. It can also make the disk fail while a control file exists. It does
 * not see stores into mapped memory, which is SQLite's -shm file, rebuilt from the write-ahead log.
 * Nor does it see what the kernel writes back by itself.
 *
 * CRASH_FOLDER  the folder, absolute; the recording names its files without it
 * CRASH_LOG     the recording: op byte, name length (1), name, offset (8), length (8), bytes;
 *               little-endian
 * CRASH_FAILS   a control file: while it exists, the calls whose words it contains fail with EIO;
 *               the words are read, write, sync
 * CRASH_NO_DIRECTORY_SYNC  if set, syncs of directories are not recorded, as if the program had
 *               omitted them
 *
 * op: W write, T truncate (offset = new size), S sync, D sync of the folder, C create, U unlink,
 *     R rename (bytes = new name)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FDS_MAX 1024

static char *names[FDS_MAX]; /* of watched descriptors; "" is the folder itself */
static int out = -1;
static const char *folder;
static size_t folder_length;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...)                                   \
    static type (*real_##name)(__VA_ARGS__);                    \
    if (!real_##name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)

static void start(void) {
    if (folder) return;
    folder = getenv("CRASH_FOLDER");
    const char *log = getenv("CRASH_LOG");
    if (!folder) abort();
    folder_length = strlen(folder);
    if (!log) return;
    REAL(int, open, const char *, int, ...);
    out = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0) abort();
}

static const char *inside(const char *path) {
    start();
    if (strncmp(path, folder, folder_length)) return NULL;
    if (!path[folder_length]) return "";
    return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static const char *of(int fd) { return fd >= 0 && fd < FDS_MAX ? names[fd] : NULL; }

static int fails(int fd, const char *what) {
    char words[64];
    const char *file = getenv("CRASH_FAILS");
    if (!file || !of(fd)) return 0;
    REAL(int, open, const char *, int, ...);
    int control = real_open(file, O_RDONLY);
    if (control < 0) return 0;
    REAL(ssize_t, read, int, void *, size_t);
    ssize_t length = real_read(control, words, sizeof words - 1);
    REAL(int, close, int);
    real_close(control);
    words[length > 0 ? length : 0] = 0;
    if (!strstr(words, what)) return 0;
    errno = EIO;
    return 1;
}

static void put(const void *bytes, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    while (length) {
        ssize_t done = real_write(out, bytes, length);
        if (done <= 0) abort();
        bytes = (const char *)bytes + done;
        length -= (size_t)done;
    }
}

static void record(char op, const char *name, uint64_t offset, uint64_t length, const void *bytes) {
    if (out < 0) return;
    uint8_t name_length = (uint8_t)strlen(name);
    pthread_mutex_lock(&lock);
    put(&op, 1), put(&name_length, 1), put(name, name_length), put(&offset, 8), put(&length, 8);
    if (bytes) put(bytes, length);
    pthread_mutex_unlock(&lock);
}

static int opened(int fd, const char *path, int flags, int existed) {
    const char *name = inside(path);
    if (fd >= 0 && fd < FDS_MAX && name) {
        free(names[fd]);
        names[fd] = strdup(name);
        if (*name && !existed && (flags & O_CREAT)) record('C', name, 0, 0, NULL);
        if (*name && (flags & O_TRUNC)) record('T', name, 0, 0, NULL);
    }
    return fd;
}

#define OPEN(function)                                          \
    int function(const char *path, int flags, ...) {            \
        va_list rest;                                           \
        va_start(rest, flags);                                  \
        int mode = (flags & O_CREAT) ? va_arg(rest, int) : 0;   \
        va_end(rest);                                           \
        REAL(int, function, const char *, int, ...);            \
        int existed = access(path, F_OK) == 0;                  \
        return opened(real_##function(path, flags, mode), path, flags, existed); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(function)                                        \
    int function(int at, const char *path, int flags, ...) {    \
        va_list rest;                                           \
        va_start(rest, flags);                                  \
        int mode = (flags & O_CREAT) ? va_arg(rest, int) : 0;   \
        va_end(rest);                                           \
        REAL(int, function, int, const char *, int, ...);       \
        int existed = access(path, F_OK) == 0;                  \
        return opened(real_##function(at, path, flags, mode), path, flags, existed); \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    REAL(int, close, int);
    if (of(fd)) {
        free(names[fd]);
        names[fd] = NULL;
    }
    return real_close(fd);
}

#define PWRITE(function, offset_type)                                            \
    ssize_t function(int fd, const void *bytes, size_t length, offset_type at) { \
        if (fails(fd, "write")) return -1;                                       \
        REAL(ssize_t, function, int, const void *, size_t, offset_type);         \
        ssize_t done = real_##function(fd, bytes, length, at);                   \
        if (of(fd) && done > 0) record('W', of(fd), (uint64_t)at, (uint64_t)done, bytes); \
        return done;                                                             \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PREAD(function, offset_type)                                             \
    ssize_t function(int fd, void *bytes, size_t length, offset_type at) {       \
        if (fails(fd, "read")) return -1;                                        \
        REAL(ssize_t, function, int, void *, size_t, offset_type);               \
        return real_##function(fd, bytes, length, at);                           \
    }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (!of(fd)) return real_write(fd, bytes, length);
    off_t at = lseek(fd, 0, SEEK_CUR);
    struct stat status;
    if ((fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &status) == 0) at = status.st_size;
    ssize_t done = real_write(fd, bytes, length);
    if (done > 0) record('W', of(fd), (uint64_t)at, (uint64_t)done, bytes);
    return done;
}

#define TRUNCATE(function, offset_type)                                          \
    int function(int fd, offset_type size) {                                     \
        REAL(int, function, int, offset_type);                                   \
        int result = real_##function(fd, size);                                  \
        if (of(fd) && !result) record('T', of(fd), (uint64_t)size, 0, NULL);       \
        return result;                                                           \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(function)                                                           \
    int function(int fd) {                                                       \
        if (fails(fd, "sync")) return -1;                                        \
        REAL(int, function, int);                                                \
        int result = real_##function(fd);                                        \
        const char *name = of(fd);                                               \
        if (name && !result) {                                                   \
            if (*name) record('S', name, 0, 0, NULL);                              \
            else if (!getenv("CRASH_NO_DIRECTORY_SYNC")) record('D', "", 0, 0, NULL); \
        }                                                                        \
        return result;                                                           \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    int result = real_unlink(path);
    const char *name = inside(path);
    if (name && *name && !result) record('U', name, 0, 0, NULL);
    return result;
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    int result = real_rename(from, to);
    const char *name = inside(from), *other = inside(to);
    if (name && other && *name && *other && !result) record('R', name, 0, strlen(other), other);
    return result;
}
