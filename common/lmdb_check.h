// common/lmdb_check.h
// Looks through the structure of an LMDB file before LMDB does.
//
//     meta ─► free list tree            every page in use once, within the file, with its own
//        └──► main tree ─► named trees  number; every node within its page; all leaves equally deep
//
// Why: LMDB trusts its file. A flipped bit in a tree page makes it read or write beyond a page's
// memory, or hand out a page that is in use; a file cut short is a SIGBUS. Values are not looked at,
// whoever stores them has checksums. Reads the tree pages alone, with pread(), so that a bad disk is
// an error code: for values of 64 KiB one page in a thousand.
//
// Threading: any thread that may wait for the disk. Bounds: a bit for each page of the file;
// recursion is as deep as LMDB allows trees to be, 32.
#pragma once

#include <string>

#include "common/error.h"

namespace weir {

// A file that is not there is sound. For LMDB 0.9 on 64-bit little-endian machines, and trees without
// duplicate keys; others are not sound. Errors: Protocol for a file that LMDB must not be given,
// System.
Result<void> check_lmdb_file(const std::string& path);

}  // namespace weir
