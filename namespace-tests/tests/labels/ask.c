/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Asks libselinux for labels: ask FILE_CONTEXTS <QUESTIONS >ANSWERS
 *
 * A question is a letter (the kind of file, as `find -printf %y` has it, or `?` for any) and a path, and ends with a NUL byte.
 * An answer is a line: the label, or `-` where there is none.
 *
 * Only functions that old C libraries have, too: it is compiled on the host and runs in guests. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* As selinux/label.h declares them. */
struct option {
    int type;
    const char *value;
};
#define FILE_BACKEND 0
#define PATH_OPTION 3
typedef void *open_function(unsigned backend, const struct option *options, unsigned count);
typedef int lookup_function(void *handle, char **label, const char *path, int mode);

static int mode_of(char kind)
{
    switch (kind) {
    case 'f': return S_IFREG;
    case 'd': return S_IFDIR;
    case 'l': return S_IFLNK;
    case 'c': return S_IFCHR;
    case 'b': return S_IFBLK;
    case 'p': return S_IFIFO;
    case 's': return S_IFSOCK;
    default: return 0;
    }
}

int main(int argc, char **argv)
{
    void *library = dlopen("libselinux.so.1", RTLD_NOW);
    if (argc != 2 || !library) {
        fprintf(stderr, "ask: %s\n", argc != 2 ? "FILE_CONTEXTS is missing" : dlerror());
        return 2;
    }
    open_function *open = (open_function *)dlsym(library, "selabel_open");
    lookup_function *lookup = (lookup_function *)dlsym(library, "selabel_lookup_raw");
    struct option option = { PATH_OPTION, argv[1] };
    void *handle = open && lookup ? open(FILE_BACKEND, &option, 1) : NULL;
    if (!handle) {
        fprintf(stderr, "ask: selabel_open: %s\n", strerror(errno));
        return 1;
    }
    char *question = NULL;
    size_t size = 0;
    while (getdelim(&question, &size, '\0', stdin) > 1) {
        char *label = NULL;
        if (lookup(handle, &label, question + 1, mode_of(question[0])) == 0) {
            puts(label);
            free(label);
        } else if (errno == ENOENT) {
            puts("-");
        } else {
            printf("error: %s\n", strerror(errno));
        }
    }
    return fflush(stdout) != 0;
}
