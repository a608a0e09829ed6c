#include "exporter/lowering/registry.h"

#include <fmt/format.h>

#include <map>

#include "exporter/error.h"
#include "exporter/lowering/linalg.h"

namespace modelexport::lowering {
namespace {

using Table = std::map<std::string_view, Row>;

void join(Table& table, std::span<const Row> rows) {
  for (const Row& row : rows) {
    if (!table.emplace(row.key, row).second) {
      throw Error(ErrorKind::internal, fmt::format("two lowerings for {}", row.key));
    }
  }
}

const Table& table() {
  static const Table kTable = [] {
    Table table;
    for (std::span<const Row> rows :
         {unary_table(),         binary_table(),     compare_table(),     cast_table(),
          create_table(),        reduce_table(),     scan_table(),        view_table(),
          index_table(),         linear_table(),     convolution_table(), pool_table(),
          normalization_table(), activation_table(), attention_table(),   recurrent_table(),
          embedding_table(),     resize_table(),     random_table(),      detection_table(),
          loss_table(),          scalar_table(),     scalar_math_table(), control_table(),
          frequency_table(),     quantize_table()}) {
      join(table, rows);
    }
    for (std::span<const Row> rows :
         {linear_system_rows(), factorization_rows(), matrix_function_rows(), bessel_rows(),
          orthogonal_rows(), ctc_rows(), fractional_pool_rows(), histogram_rows(), quantile_rows(),
          segment_rows()}) {
      join(table, rows);
    }
    return table;
  }();
  return kTable;
}

const Table& tables_of_sequences() {
  static const Table kTable = [] {
    Table table;
    join(table, sequence_table());
    return table;
  }();
  return kTable;
}

const Table& tables_of_complex() {
  static const Table kTable = [] {
    Table table;
    join(table, complex_table());
    join(table, fourier_table());
    return table;
  }();
  return kTable;
}

const Row* find_in(const Table& table, std::string_view key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace

const Row* find(std::string_view key) { return find_in(table(), key); }

const Row* find_for_sequence(std::string_view key) { return find_in(tables_of_sequences(), key); }

const Row* find_for_complex(std::string_view key) { return find_in(tables_of_complex(), key); }

bool is_lowered(std::string_view key) {
  return find(key) || find_for_sequence(key) || find_for_complex(key);
}

std::vector<std::string_view> keys() {
  Table all = table();
  all.insert(tables_of_complex().begin(), tables_of_complex().end());
  all.insert(tables_of_sequences().begin(), tables_of_sequences().end());
  std::vector<std::string_view> keys;
  for (const auto& [key, row] : all) keys.push_back(key);
  return keys;
}

}  // namespace modelexport::lowering
