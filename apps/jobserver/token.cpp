#include "token.hpp"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "regular_file.hpp"

namespace {

constexpr std::size_t shortest = 16;
constexpr std::size_t longest = 64;

// What a header can hold as one word (RFC 6750, 2.1), but for "/" and "=".
constexpr const char* letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+";

}  // namespace

std::string token::read(const std::string& file) {
  if (std::string wrong = why_not_to_open(file); !wrong.empty()) return wrong;
  std::ifstream stream(file);
  std::array<char, 2 * longest> bytes;  // enough to see that there is more than a token
  stream.read(bytes.data(), bytes.size());
  if (!stream.is_open() || stream.bad()) return file + ": " + std::strerror(errno);
  std::string text(bytes.data(), static_cast<std::size_t>(stream.gcount()));
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return file + ": any user can read or change it (chmod 600)";
  }
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.size() < shortest || text.size() > longest ||
      text.find_first_not_of(letters) != std::string::npos) {
    return file + ": a token is 16 to 64 letters, digits and -._~+ (openssl rand -hex 24 makes one)";
  }
  secret_ = text;
  return {};
}

bool token::is(std::string_view guess) const {
  unsigned difference = guess.size() != secret_.size();
  for (std::size_t i = 0; i < secret_.size(); ++i) {
    char letter = i < guess.size() ? guess[i] : '\0';
    difference |= static_cast<unsigned char>(letter ^ secret_[i]);
  }
  return difference == 0;
}
