// Who gets the orphans: the nearest living ancestor that is a subreaper, or the init of the pid namespace.
//
//     int error = uvreap::become_subreaper();       // not needed as PID 1
//     uvreap::reaper reaper(loop, {.children = uvreap::scope::any(), .on_unclaimed = on_orphan});
//
// Descendants whose parents end become children of this process from then on (those of before, too, if their
// parent ends after the call). They have to be reaped: a reaper with scope any() does.
#pragma once

#include "uvreap/export.hpp"

namespace uvreap {

// 0, or UV_E* of prctl(2), as where a seccomp filter refuses it: then nothing changed. The whole process is
// it, its threads too; children do not inherit it, exec keeps it (PR_SET_CHILD_SUBREAPER, Linux 3.4).
[[nodiscard]] UVREAP_API int become_subreaper() noexcept;

}  // namespace uvreap
