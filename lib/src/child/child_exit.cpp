#include "uvreap/child_exit.hpp"

#include <ostream>

namespace uvreap {

std::ostream& operator<<(std::ostream& out, notice said) {
  switch (said) {
    case notice::sigchld:
      return out << "sigchld";
    case notice::backend:
      return out << "index";
    case notice::poller:
      return out << "poller";
    case notice::already:
      return out << "already";
  }
  return out << "unknown";
}

std::ostream& operator<<(std::ostream& out, const child_exit& exit) {
  out << "pid " << exit.pid;
  if (exit.lost) return out << " lost: somebody else took its status (noticed by " << exit.noticed_by << ')';
  out << ' ' << exit.status;
  if (exit.timed_out) out << ", timed out";
  if (exit.recovered) return out << " (recovered, noticed by " << exit.noticed_by << ')';
  return out << " (" << exit.usage << "; noticed by " << exit.noticed_by << ')';
}

std::ostream& operator<<(std::ostream& out, const child_change& change) {
  return out << "pid " << change.pid << ' ' << change.status;
}

}  // namespace uvreap
