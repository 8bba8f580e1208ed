// Whether answers are as an OpenAPI description says: their status, their type, and their body by the parts
// of JSON Schema that the description uses.
//
//     test::openapi api(json::parse(text));
//     CHECK(api.why_not("get", "/v1/jobs", reply) == "");
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "job_server.hpp"

namespace test {

class openapi {
 public:
  explicit openapi(nlohmann::json all) : all_(std::move(all)) {}

  [[nodiscard]] const nlohmann::json& paths() const { return all_.at("paths"); }

  // Empty: the answer is one that is described. Path is spelled as there: "/v1/jobs/{id}".
  [[nodiscard]] std::string why_not(const std::string& method, const std::string& path,
                                    const http_reply& reply) const {
    if (!paths().contains(path) || !paths()[path].contains(method)) return path + " is not described";
    const auto& responses = paths()[path][method]["responses"];
    std::string status = std::to_string(reply.status);
    if (!responses.contains(status)) return "a status that is not described: " + status;
    const auto& response = resolved(responses[status]);
    std::string type = reply.field("Content-Type");
    type = type.substr(0, type.find(';'));
    if (!response.contains("content") || !response["content"].contains(type)) return "another type: " + type;
    if (response.contains("headers")) {
      for (const auto& [name, header] : response["headers"].items()) {
        bool is_needed = resolved(header).value("required", false);
        if (is_needed && reply.field(name).empty()) return "no field " + name;
      }
    }
    const auto& content = response["content"][type];
    return content.contains("schema") ? why_not(content["schema"], reply.json(), "body") : "";
  }

  [[nodiscard]] std::string why_not(const nlohmann::json& given, const nlohmann::json& value,
                                    const std::string& where) const {
    const auto& schema = resolved(given);
    if (schema.contains("type") && !is_of(schema["type"], value)) return where + " is of another type";
    if (schema.contains("enum") && !holds(schema["enum"], value)) return where + " is " + value.dump();
    if (value.is_array() && schema.contains("items")) {
      for (const auto& item : value) {
        if (auto why = why_not(schema["items"], item, where + "[]"); !why.empty()) return why;
      }
    }
    if (value.is_object()) return why_not_object(schema, value, where);
    return {};
  }

 private:
  std::string why_not_object(const nlohmann::json& schema, const nlohmann::json& value,
                             const std::string& where) const {
    for (const auto& name : schema.value("required", nlohmann::json::array())) {
      if (!value.contains(name.get<std::string>())) return where + " lacks " + name.dump();
    }
    const auto properties = schema.value("properties", nlohmann::json::object());
    for (const auto& [name, member] : value.items()) {
      const nlohmann::json* rule = properties.contains(name) ? &properties[name] : nullptr;
      if (rule == nullptr && schema.contains("additionalProperties")) {
        const auto& others = schema["additionalProperties"];
        if (others == false) return where + " has " + name + ", which is not described";
        rule = &others;
      }
      if (rule == nullptr) continue;
      if (auto why = why_not(*rule, member, where + "." + name); !why.empty()) return why;
    }
    return {};
  }

  [[nodiscard]] const nlohmann::json& resolved(const nlohmann::json& given) const {
    if (!given.is_object() || !given.contains("$ref")) return given;
    std::string reference = given["$ref"];
    return all_.at(nlohmann::json::json_pointer(reference.substr(1)));
  }

  static bool holds(const nlohmann::json& list, const nlohmann::json& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  }

  static bool is_of(const nlohmann::json& type, const nlohmann::json& value) {
    if (type.is_array()) {
      return std::any_of(type.begin(), type.end(), [&](const auto& one) { return is_of(one, value); });
    }
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    return type == value.type_name();
  }

  nlohmann::json all_;
};

}  // namespace test
