#include "http.hpp"

#include <nlohmann/json.hpp>

http_answer refusal(int status, std::string_view text) {
  nlohmann::json error{{"error", text}};
  return {status, error.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n'};
}
