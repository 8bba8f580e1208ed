// A command with replacement strings, which become a job's arguments.
//
//     {}    the arguments, one of each list       {2}   that of the second list; so with the others: {2.}
//     {.}   without its extension                 {/}   without its directory      {/.}  without both
//     {//}  its directory                         {#}   the job's number
//
// They mean what they mean to GNU parallel. All other braces stay as they are. Where there is none of them
// the arguments are added at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

class command_template {
 public:
  command_template(const std::vector<std::string>& command, std::size_t lists);

  [[nodiscard]] bool has_replacements() const { return has_replacements_; }

  // One argument of each list. A word that is {} and nothing else becomes a word for each.
  [[nodiscard]] std::vector<std::string> words(const std::vector<std::string>& arguments,
                                               std::uint64_t job) const;

  // The words with blanks between, the arguments quoted, for sh to read.
  [[nodiscard]] std::string shell_text(const std::vector<std::string>& arguments, std::uint64_t job) const;

 private:
  enum class part { whole, no_extension, name, name_no_extension, directory, job_number };
  struct replacement {
    part what = part::whole;
    std::size_t list = 0;  // from 1; 0: of each list
  };
  struct piece {
    std::string text{};  // as it is, where nothing replaces it
    std::optional<replacement> by{};
  };
  using word = std::vector<piece>;

  [[nodiscard]] static std::optional<replacement> replacement_in(std::string_view braces, std::size_t lists);
  [[nodiscard]] static word pieces_of(std::string_view text, std::size_t lists);
  [[nodiscard]] static std::vector<std::string> values_of(const replacement&,
                                                          const std::vector<std::string>& arguments,
                                                          std::uint64_t job);

  std::vector<word> words_;
  bool has_replacements_ = false;
};
