# Installs into an empty folder, builds the consumer project against it, and runs both commands.
#   cmake -DBUILD=... -DFOLDER=... -DCHECKPOINT=MODEL.pt -DGENERATOR=... -P install_test.cmake
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${FOLDER})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${FOLDER}/installed)
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${FOLDER}/build -G ${GENERATOR}
  -DCMAKE_PREFIX_PATH=${FOLDER}/installed)
run(${CMAKE_COMMAND} --build ${FOLDER}/build)
string(REPLACE .pt .inputs.pt INPUTS ${CHECKPOINT})
run(${FOLDER}/build/consumer ${CHECKPOINT} ${INPUTS} ${FOLDER}/consumer.onnx)
run(${FOLDER}/installed/bin/modelexport export ${CHECKPOINT} --inputs ${INPUTS}
  -o ${FOLDER}/command.onnx)
# The same input and options: the same file, whoever asks.
run(${CMAKE_COMMAND} -E compare_files ${FOLDER}/consumer.onnx ${FOLDER}/command.onnx)
