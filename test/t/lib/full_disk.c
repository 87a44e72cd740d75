/*
 * full_disk.c
 *		Makes one folder a full disk: preloaded into a server, it lets no file in
 *		$FULL_DISK grow while $FULL_DISK.full is there.  For a test user that
 *		cannot mount anything.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int
is_full(int fd, off_t end)
{
	const char *folder = getenv("FULL_DISK");
	char		link[64];
	char		path[PATH_MAX];
	struct stat file;
	ssize_t		length;

	if (folder == NULL || fstat(fd, &file) != 0 || end <= file.st_size)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return 0;
	path[length] = '\0';
	if (strncmp(path, folder, strlen(folder)) != 0)
		return 0;
	snprintf(path, sizeof(path), "%s.full", folder);
	return access(path, F_OK) == 0;
}

#define WRITE(name) \
ssize_t \
name(int fd, const void *data, size_t size, off_t offset) \
{ \
	ssize_t		(*real) (int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, #name); \
	if (is_full(fd, offset + (off_t) size)) \
	{ \
		errno = ENOSPC; \
		return -1; \
	} \
	return real(fd, data, size, offset); \
}

#define WRITE_PARTS(name) \
ssize_t \
name(int fd, const struct iovec *parts, int count, off_t offset) \
{ \
	ssize_t		(*real) (int, const struct iovec *, int, off_t) = dlsym(RTLD_NEXT, #name); \
	off_t		end = offset; \
	for (int i = 0; i < count; i++) \
		end += (off_t) parts[i].iov_len; \
	if (is_full(fd, end)) \
	{ \
		errno = ENOSPC; \
		return -1; \
	} \
	return real(fd, parts, count, offset); \
}

#define ALLOCATE(name) \
int \
name(int fd, off_t offset, off_t size) \
{ \
	int			(*real) (int, off_t, off_t) = dlsym(RTLD_NEXT, #name); \
	return is_full(fd, offset + size) ? ENOSPC : real(fd, offset, size); \
}

/* a server calls one or the other of each pair */
WRITE(pwrite)
WRITE(pwrite64)
WRITE_PARTS(pwritev)
WRITE_PARTS(pwritev64)
ALLOCATE(posix_fallocate)
ALLOCATE(posix_fallocate64)
