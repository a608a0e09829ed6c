# docs/operators.md is what the command writes. Usage: cmake -DCOMMAND=modelexport -DPAGE=operators.md -P this
execute_process(COMMAND ${COMMAND} ops --markdown OUTPUT_VARIABLE written COMMAND_ERROR_IS_FATAL ANY)
file(READ ${PAGE} kept)
if(NOT written STREQUAL kept)
  message(FATAL_ERROR "${PAGE} is not up to date: modelexport ops --markdown > docs/operators.md")
endif()
