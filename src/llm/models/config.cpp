#include "llm/models/config.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "base/error.h"
#include "llm/models/json.h"

namespace carnot {

namespace {

constexpr int64_t kMost = int64_t{1} << 24;  // of any extent: products of two stay within 63 bits

[[noreturn]] void invalid(std::string has, std::string needs) {
  throw Error(ErrorCode::InvalidModel, std::move(has), std::move(needs));
}

[[noreturn]] void unsupported(std::string has, std::string needs) {
  throw Error(ErrorCode::Unsupported, std::move(has), std::move(needs));
}

// A field that is there and not null.
const Json* find(const Json& object, const char* name) {
  auto field = object.find(name);
  return field == object.end() || field->is_null() ? nullptr : &*field;
}

int64_t extent(const Json& object, const char* name) {
  const Json* field = find(object, name);
  if (!field) invalid(fmt::format("no {}", name), "it");
  const bool fits = field->is_number_unsigned() && field->get<uint64_t>() >= 1 &&
                    field->get<uint64_t>() <= static_cast<uint64_t>(kMost);
  if (!fits) invalid(fmt::format("{} {}", name, shown(*field)), fmt::format("1 to {}", kMost));
  return field->get<int64_t>();
}

int64_t extent(const Json& object, const char* name, int64_t otherwise) {
  return find(object, name) ? extent(object, name) : otherwise;
}

double number(const Json& object, const char* name, double otherwise) {
  const Json* field = find(object, name);
  if (!field) return otherwise;
  const double value = field->is_number() ? field->get<double>() : 0;
  if (!std::isfinite(value) || value <= 0)
    invalid(fmt::format("{} {}", name, shown(*field)), "a positive number");
  return value;
}

double neededNumber(const Json& object, const char* name) {
  if (!find(object, name)) invalid(fmt::format("no {} of the rotary scaling", name), "it");
  return number(object, name, 0);
}

bool flag(const Json& object, const char* name) {
  const Json* field = find(object, name);
  if (field && !field->is_boolean())
    invalid(fmt::format("{} {}", name, shown(*field)), "true or false");
  return field && field->get<bool>();
}

std::string word(const Json& object, const char* name, const char* otherwise) {
  const Json* field = find(object, name);
  if (!field) return otherwise;
  if (!field->is_string()) invalid(fmt::format("{} {}", name, shown(*field)), "a name");
  return field->get<std::string>();
}

// Llama 3.1's: low frequencies are divided by the factor, high ones kept, those between blended.
float blended(float frequency, const Json& scaling) {
  const auto factor = static_cast<float>(neededNumber(scaling, "factor"));
  const double low = neededNumber(scaling, "low_freq_factor");
  const double high = neededNumber(scaling, "high_freq_factor");
  const double positions = neededNumber(scaling, "original_max_position_embeddings");
  if (!(high > low)) invalid("high_freq_factor not above low_freq_factor", "one that is");
  const float length = 2 * std::numbers::pi_v<float> / frequency;
  if (length < positions / high) return frequency;
  if (length > positions / low) return frequency / factor;
  const auto part = static_cast<float>((positions / length - low) / (high - low));
  return (1 - part) * frequency / factor + part * frequency;
}

// Newer files hold rope_parameters, older ones rope_theta and rope_scaling.
std::vector<float> frequenciesOf(const Json& config, int64_t headSize) {
  const Json none = Json::object();
  const Json* parameters = find(config, "rope_parameters");
  const Json* older = find(config, "rope_scaling");
  const Json& scaling = parameters ? *parameters : older ? *older : none;
  if (!scaling.is_object()) invalid("rotary parameters that are no object", "one");
  const double base = number(scaling, "rope_theta", number(config, "rope_theta", 10000));
  const std::string type = word(scaling, "rope_type", word(scaling, "type", "default").c_str());
  if (type != "default" && type != "linear" && type != "llama3")
    unsupported(fmt::format("rotary positions scaled by {}", type), "default, linear or llama3");
  if (number(config, "partial_rotary_factor", number(scaling, "partial_rotary_factor", 1)) != 1)
    unsupported("heads that rotate in part", "whole ones");
  std::vector<float> frequencies;
  for (int64_t pair = 0; pair < headSize / 2; ++pair) {
    const float exponent = static_cast<float>(2 * pair) / static_cast<float>(headSize);
    const float frequency = 1.0f / std::pow(static_cast<float>(base), exponent);
    frequencies.push_back(type == "linear"
                              ? frequency / static_cast<float>(neededNumber(scaling, "factor"))
                          : type == "llama3" ? blended(frequency, scaling)
                                             : frequency);
  }
  return frequencies;
}

}  // namespace

LlamaConfig parseLlamaConfig(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) invalid("a text that is no JSON object", "one");
  const std::string model = word(json, "model_type", "");
  if (model != "llama") unsupported(fmt::format("model_type '{}'", model), "'llama'");
  if (std::string act = word(json, "hidden_act", "silu"); act != "silu")
    unsupported(fmt::format("hidden_act '{}'", act), "'silu'");
  if (find(json, "quantization_config"))
    unsupported("a quantization_config", "weights that are not quantized");
  LlamaConfig config;
  config.layers = extent(json, "num_hidden_layers");
  config.hidden = extent(json, "hidden_size");
  config.intermediate = extent(json, "intermediate_size");
  config.vocabulary = extent(json, "vocab_size");
  config.heads = extent(json, "num_attention_heads");
  config.kvHeads = extent(json, "num_key_value_heads", config.heads);
  if (config.heads % config.kvHeads != 0)
    invalid(fmt::format("{} heads over {} of keys", config.heads, config.kvHeads), "a multiple");
  if (!find(json, "head_dim") && config.hidden % config.heads != 0)
    invalid(fmt::format("hidden_size {} over {} heads", config.hidden, config.heads), "a multiple");
  config.headSize = extent(json, "head_dim", config.hidden / config.heads);
  if (config.headSize % 2 != 0)
    invalid(fmt::format("heads of {}", config.headSize), "an even size, which rotates by pairs");
  config.maxPositions = extent(json, "max_position_embeddings", 2048);
  config.normEpsilon = number(json, "rms_norm_eps", 1e-6);
  config.tiedEmbeddings = flag(json, "tie_word_embeddings");
  config.attentionBias = flag(json, "attention_bias");
  config.mlpBias = flag(json, "mlp_bias");
  config.frequencies = frequenciesOf(json, config.headSize);
  return config;
}

}  // namespace carnot
