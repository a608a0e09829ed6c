# Puts the page together: cmake -DFOLDER=... -DOUTPUT=... -P embed.cmake writes report_page.cpp.
# page.html has {{style.css}} and {{NAME.js}} where the files are to stand.
file(READ ${FOLDER}/page.html page)
foreach(name style.css model.js format.js tree.js layout.js graph.js details.js differences.js sections.js main.js)
  file(READ ${FOLDER}/${name} text)
  string(REPLACE "{{${name}}}" "${text}" page "${page}")
endforeach()
# A string literal may not be too long: pieces, which the compiler joins.
string(LENGTH "${page}" length)
set(code "// Made by analysis/report/embed.cmake.\n#include \"analysis/report_page.h\"\n\n")
string(APPEND code "namespace modelexport::analysis {\n\nstd::string_view report_page() {\n  static constexpr char kPage[] =\n")
set(at 0)
while(at LESS length)
  string(SUBSTRING "${page}" ${at} 8000 piece)
  string(APPEND code "R\"~~(${piece})~~\"\n")
  math(EXPR at "${at} + 8000")
endwhile()
string(APPEND code "      ;\n  return {kPage, sizeof(kPage) - 1};\n}\n\n}  // namespace modelexport::analysis\n")
file(WRITE ${OUTPUT} "${code}")
